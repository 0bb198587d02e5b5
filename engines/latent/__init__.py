"""The method: inversion, the terms of the loss, the adversarial latent search, rendering."""
