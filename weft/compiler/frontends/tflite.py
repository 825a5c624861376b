def load(data, name, input_shapes=None): raise NotImplementedError
