"""The one kind of error that weft raises on purpose: four parts, so that a person knows what to do next."""


class WeftError(Exception):
    """Something was refused.

    Parameters
    ----------
    subject: what is wrong ("config 'tiny'", "node 'conv1' (Conv)").
    rule: what must hold ("the weight buffer must hold one tile").
    found: what was found instead ("0 elements").
    hint: what to try ("raise wgt_buffer to at least 256 bytes").
    """

    def __init__(self, subject: str, rule: str, found: str, hint: str):
        self.subject, self.rule, self.found, self.hint = subject, rule, found, hint
        super().__init__(f"{subject}: {rule}, but found {found}; try: {hint}")
