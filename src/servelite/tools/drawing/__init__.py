"""Drawing pipelines: as lines for the terminal, as Mermaid's text, as an SVG picture."""
