"""Networks and the functional device as libraries for C. Imports isa, llvm, runtime and sim."""
