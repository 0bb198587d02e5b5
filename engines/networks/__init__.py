"""Plain `nn.Module`s, one file for each architecture.  Their weights come from `engines.models`."""
