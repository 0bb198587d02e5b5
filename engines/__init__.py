"""The method and everything numeric.  Read `engines.pipeline.protect` first."""
