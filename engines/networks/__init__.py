"""Plain `nn.Module`s, one file an architecture; weights come from `engines.models`."""
