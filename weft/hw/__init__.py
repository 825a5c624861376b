"""The accelerator in Amaranth. Every size follows from weft.isa.Config."""
