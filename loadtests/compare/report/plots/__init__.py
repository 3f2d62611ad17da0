"""The report's plots: drawn by matplotlib as SVG, coloured by the page's style sheet."""
