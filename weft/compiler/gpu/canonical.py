"""A text that two loop programs share exactly if they are the same but for names: by it kernels are made once."""

from ..expr import Binary, Call, Cast, Const, Expr, Load, Select, Var
from ..stmt import Alloc, Buffer, For, If, LoopProgram, Seq, Stmt, Store


def canonical(program: LoopProgram) -> str:
    """The program with variables and buffers numbered in the order in which they are met."""
    names = _Names()
    arguments = [names.buffer(buffer) for buffer in program.arguments.values()]
    return f"({' '.join(arguments)}) {names.statement(program.body)}"


class _Names:
    def __init__(self):
        self.variables: dict[Var, str] = {}
        self.buffers: dict[Buffer, str] = {}

    def variable(self, v: Var) -> str:
        return self.variables.setdefault(v, f"i{len(self.variables)}")

    def buffer(self, b: Buffer) -> str:
        """With all that it is where it is met first."""
        if b in self.buffers:
            return self.buffers[b]
        self.buffers[b] = f"b{len(self.buffers)}"
        return f"{self.buffers[b]}:{b.dtype}{b.shape}{b.scope}{b.strides}{b.low}"

    def statement(self, stmt: Stmt) -> str:
        match stmt:
            case Seq(body):
                return "{" + "; ".join(map(self.statement, body)) + "}"
            case For(var, extent, body, kind, tensorize):
                limit = self.expression(extent)
                return f"{kind} {self.variable(var)} {limit} {tensorize} {self.statement(body)}"
            case If(condition, body):
                return f"if {self.expression(condition)} {self.statement(body)}"
            case Alloc(buffer, body):
                return f"alloc {self.buffer(buffer)} {self.statement(body)}"
            case Store(buffer, indices, value):
                return f"{self.buffer(buffer)}{self.all(indices)} = {self.expression(value)}"
        return str(stmt)

    def all(self, parts: tuple[Expr, ...]) -> str:
        return f"[{', '.join(map(self.expression, parts))}]"

    def expression(self, e: Expr) -> str:
        match e:
            case Var():
                return self.variable(e)
            case Const(value, dtype):
                return f"{value!r}:{dtype}"
            case Binary(op, a, b):
                return f"{op}({self.expression(a)}, {self.expression(b)})"
            case Select(c, t, o):
                return f"select{self.all((c, t, o))}"
            case Cast(to, a):
                return f"{to}({self.expression(a)})"
            case Load(buffer, indices):
                return f"{self.buffer(buffer)}{self.all(indices)}"
            case Call(name, args, dtype, attrs):
                return f"{name}:{dtype}{attrs}{self.all(args)}"
        raise TypeError(f"no text for {type(e).__name__}")
