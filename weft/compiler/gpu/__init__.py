"""The GPU path: loop programs whose loops are bound to blocks and threads, as PTX by LLVM's NVPTX."""
