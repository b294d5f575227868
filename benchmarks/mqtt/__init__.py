"""MQTT: the rows of ``design/performance.md`` and the libraries that run them."""

from __future__ import annotations

from benchmarks._model import Adapter
from benchmarks.mqtt._data import prepare
from benchmarks.mqtt._wire import server_version
from benchmarks.mqtt._workloads import workloads

__all__ = ["ADAPTER"]

ADAPTER = Adapter(
    name="mqtt",
    service="mosquitto",
    participants={
        "wirekit": "benchmarks.mqtt._wirekit",
        "gmqtt": "benchmarks.mqtt._gmqtt",
        "paho-mqtt": "benchmarks.mqtt._paho",
        "aiomqtt": "benchmarks.mqtt._aiomqtt",
        "mqtt5": "benchmarks.mqtt._mqtt5",
        "floor": "benchmarks.mqtt._floor",
    },
    workloads=workloads,
    prepare=prepare,
    server_version=server_version,
)
