"""The report: figures, tables, sentences, plots, contact sheets, the HTML page."""
