raise OSError("no GPU")
