"""The destination ``MLflow``; a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from sessiontrace.model.later_types import later
from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

if TYPE_CHECKING:
    from sessiontrace.vendors.otlp.score_requests import ScoreRequests
else:
    ScoreRequests = later("sessiontrace.vendors.otlp.score_requests", "ScoreRequests")

__all__ = ["VENDOR", "MLflow"]


@attrs.frozen(kw_only=True)
class MLflow(OTLPBackend):
    """An MLflow tracking server.

    ``base_url``: default ``MLFLOW_TRACKING_URI``, else ``http://localhost:5000``. ``api_key``:
    default ``MLFLOW_TRACKING_TOKEN``; most servers need none. ``project``: an experiment's id;
    default ``MLFLOW_EXPERIMENT_ID``, else "0", MLflow's default experiment. Source: MLflow's
    documentation and mlflow 3.17.
    """

    kind: ClassVar[str] = "mlflow"
    KEY_VARIABLE: ClassVar[str] = "MLFLOW_TRACKING_TOKEN"
    KEY_REQUIRED: ClassVar[bool] = False
    URL_VARIABLE: ClassVar[str] = "MLFLOW_TRACKING_URI"
    DEFAULT_URL: ClassVar[str] = "http://localhost:5000"
    SCORE_TYPE: ClassVar[str] = "application/json"
    PROJECT_VARIABLE: ClassVar[str] = "MLFLOW_EXPERIMENT_ID"

    def request_headers(self) -> dict[str, str]:
        return {**super().request_headers(), "x-mlflow-experiment-id": self.project or "0"}

    def scores(self, resource: Mapping[str, str]) -> ScoreRequests:
        from sessiontrace.vendors.otlp_backends.mlflow_scores import MLflowScores

        return MLflowScores()

    def translate(self, attributes: dict[str, Any]) -> None:
        from sessiontrace.vendors.otlp_backends.mlflow_attributes import translate

        translate(attributes)


VENDOR = vendor_for(MLflow)
