"""The commands of `clip2protect`, one module each: parse, call the engines, format."""
