"""stub"""
from .naming import Report
from .versions import Versions
def weak_anomalies(versions: Versions, report: Report, level: str) -> None:
    return
