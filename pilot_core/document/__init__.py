"""What people write: YAML and JSON read strictly, decoded with every error named at its place.

findings = Findings("pilot.yaml")
tree = document(text, findings)              # duplicate keys are findings already
settings = Decoder(findings).decode(tree, Settings)
findings.raise_any()                         # all of them at once
"""

from pilot_core.document.decoder import Decoder, bare, decode
from pilot_core.document.duration import Duration
from pilot_core.document.findings import Findings
from pilot_core.document.reader import document, documents
from pilot_core.document.tree import Mapping, Node, Scalar, Sequence

__all__ = [
    "Decoder",
    "Duration",
    "Findings",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "bare",
    "decode",
    "document",
    "documents",
]
