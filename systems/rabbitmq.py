"""RabbitMQ, a cluster with one node on each host: queues with publisher confirms and acknowledgements of consumers.

`options: {queue_type: classic}` keeps each queue on one node; `quorum` replicates it. Erlang's nodes find each other by epmd, which each host has for
itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, UnroutableError

from tribulation.testing import Daemon, Dial, DriverClient, Host, Op

CONFIG = """listeners.tcp.1 = 0.0.0.0:{port}
loopback_users = none
heartbeat = {heartbeat}
net_ticktime = {tick}
cluster_partition_handling = pause_minority
cluster_formation.peer_discovery_backend = classic_config
"""
HEARTBEAT_S = 4
"""A node ends a connection that is silent for twice as long, and returns what was delivered to it to the queue."""
TICK_S = 6
"""A node takes another one for dead when it is silent for as long, give or take a quarter; the default is a minute."""
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
COOKIE = "tribulation"
LEADERS = "[case amqqueue:get_pid(Q) of {_, Node} -> Node; Pid -> node(Pid) end || Q <- rabbit_amqqueue:list()]."


class RabbitMq(Daemon):
    port = 5672
    programs, packages = (SERVER, "erl_call"), ("rabbitmq-server",)

    def files(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, str]:
        listed = (f"cluster_formation.classic_config.nodes.{at} = {node(one)}\n" for at, one in enumerate(cluster, 1))
        config = CONFIG.format(port=self.port, heartbeat=HEARTBEAT_S, tick=TICK_S)
        return {"rabbitmq.conf": config + "".join(listed), "enabled_plugins": "[].\n"}

    def environment(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, str]:
        return {
            "HOME": self.path(host),
            "RABBITMQ_NODENAME": node(host),
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_CONF_ENV_FILE": self.path(host, "none"),
            "RABBITMQ_CONFIG_FILE": self.path(host, "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.path(host, "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": self.data_directory(host),
            "RABBITMQ_LOG_BASE": self.path(host),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-setcookie {COOKIE} +sbwt none",
            "RUNNING_UNDER_SYSTEMD": "true",  # No shell stays above the node.
        }

    def command(self, host: Host, cluster: Sequence[Host]) -> Sequence[str]:
        return [SERVER]

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        """The node that leads most queues; a classic queue is led by the only node that has it."""
        said: Counter[str] = Counter()
        for host in hosts:
            ask = f"echo '{LEADERS}' | timeout 3 erl_call -name {node(host)} -c {COOKIE} -e"
            said.update(re.findall(r"rabbit@([\d.]+)", host.run(ask, check=False, timeout_s=6).stdout))
        return next((host.name for found, _ in said.most_common() for host in hosts if host.address == found), None)


def node(host: Host) -> str:
    return f"rabbit@{host.address}"


class UnavailableError(Exception):
    """The queue cannot be reached; nothing was sent to it."""


class QueueClient(DriverClient):
    definite = (UnavailableError, UnroutableError)

    def connect(self, address: tuple[str, int], timeout_s: float) -> pika.BlockingConnection:
        times = {"socket_timeout": timeout_s, "stack_timeout": timeout_s, "heartbeat": HEARTBEAT_S}
        connection = pika.BlockingConnection(pika.ConnectionParameters(*address, **times))
        self.channel, self.declared = connection.channel(), set[str]()
        self.channel.confirm_delivery()
        return connection

    def disconnect(self) -> None:
        """Nothing: pika's `close` waits for an answer, and a node returns what it delivered when a connection ends, however it ends."""

    @property
    def connected(self) -> bool:
        return bool(self.channel.is_open)

    def enqueue(self, op: Op) -> None:
        """Publish a value and return when the broker confirms; `mandatory` has it refuse what no queue takes."""
        kept = pika.BasicProperties(delivery_mode=2)
        self.channel.basic_publish("", self.queue(op), str(op.value).encode(), kept, mandatory=True)

    def dequeue(self, op: Op) -> int | None:
        found, _, body = self.channel.basic_get(self.queue(op))
        if found is not None:
            self.channel.basic_ack(found.delivery_tag)
        return None if found is None else int(body)

    def queue(self, op: Op) -> str:
        """Declares the queue once. Until then nothing was sent to it: an ended connection and a refusal are definite, a declaration without an answer is not."""
        arguments, definite = {"x-queue-type": self.options.get("queue_type", "quorum")}, AMQPError
        try:
            self.connection.process_data_events(0)  # Sees that the connection has ended.
            definite = ChannelClosedByBroker
            if op.key not in self.declared:
                self.channel.queue_declare(op.key, durable=True, arguments=arguments)
        except definite as error:
            raise UnavailableError from error
        self.declared.add(op.key)
        return str(op.key)


service, client = RabbitMq, QueueClient
