"""The one table of diagnostics: what each is called in summary.json and to a reader. No torch: comparisons read it, too."""

from typing import Literal, NamedTuple


class DiagnosticKey(NamedTuple):
    key: str  # of summary.json
    heading: str
    unit: str = ""
    better: Literal["lower", "higher", "neither"] = "neither"


DIAGNOSTIC_KEYS = (
    DiagnosticKey("diagnostics/dead_channels", "dead channels", better="lower"),
    DiagnosticKey("diagnostics/nearly_dead_channels", "nearly dead channels", better="lower"),
    DiagnosticKey("diagnostics/correlation", "channel correlation"),
    DiagnosticKey("diagnostics/correlation_within", "correlation within groups"),
    DiagnosticKey("diagnostics/correlation_between", "correlation between groups"),
    DiagnosticKey("diagnostics/effective_rank", "effective rank"),
    DiagnosticKey("diagnostics/separability", "separability"),
    DiagnosticKey("diagnostics/offset", "offset", "px"),
    DiagnosticKey("diagnostics/effective_field", "effective field", "px"),
    DiagnosticKey("diagnostics/receptive_field", "theoretical field", "px"),
)
