"""What the searches minimise, one term a file.

`reconstruction` for inversion and tuning, `adversarial` and `change` for the latent search.  Text
guidance (section 3.2 of the paper) is a further term of `engines.search.search`.
"""
