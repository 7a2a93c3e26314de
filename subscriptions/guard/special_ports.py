"""Ports that no webhook receiver answers on: what usually listens there instead.

A table for `address_guard`. A POST to a database or a control plane does harm even where the
address may be contacted; requests in other protocols have been smuggled through POST bodies.
"""

from __future__ import annotations

from typing import Final

LOWEST_FREE_PORT: Final = 1024
"""From here on a port is allowed unless it is in `SERVICE_PORTS`; below only the web's own."""

_HIGHEST_PORT: Final = 65535

WEB_PORTS: Final = frozenset({80, 443, 8080, 8443})
"""Where receivers are expected; nothing in `SERVICE_PORTS` may take these away."""

# First port, last port, what listens there. "Fetch" marks rows of the browsers' list of bad ports
# (Fetch Standard, "port blocking"), as far as it goes beyond 1023. No row lies in 32768 to 60999,
# where Linux hands out ports by itself: development receivers get such ports.
_SERVICES: Final = (
    (1080, 1080, "SOCKS proxy"),
    (1099, 1099, "Java RMI registry"),
    (1352, 1352, "Lotus Notes"),
    (1414, 1414, "IBM MQ"),
    (1433, 1434, "Microsoft SQL Server"),
    (1494, 1494, "Citrix"),
    (1521, 1522, "Oracle database"),
    (1719, 1720, "H.323 (Fetch)"),
    (1723, 1723, "PPTP (Fetch)"),
    (1883, 1883, "MQTT"),
    (1900, 1900, "SSDP"),
    (1935, 1935, "RTMP"),
    (2003, 2004, "Graphite"),
    (2049, 2049, "NFS (Fetch)"),
    (2181, 2181, "ZooKeeper"),
    (2375, 2377, "Docker and Swarm"),
    (2379, 2380, "etcd"),
    (2483, 2484, "Oracle database"),
    (2598, 2598, "Citrix"),
    (2888, 2888, "ZooKeeper peers"),
    (3128, 3130, "HTTP proxies, Squid"),
    (3260, 3260, "iSCSI"),
    (3268, 3269, "LDAP global catalogue"),
    (3300, 3300, "Ceph monitor"),
    (3306, 3306, "MySQL"),
    (3389, 3389, "Remote Desktop"),
    (3478, 3479, "STUN and TURN"),
    (3632, 3632, "distcc"),
    (3659, 3659, "Apple SASL (Fetch)"),
    (3690, 3690, "Subversion"),
    (3888, 3888, "ZooKeeper election"),
    (4045, 4045, "NFS lock manager (Fetch)"),
    (4190, 4190, "ManageSieve (Fetch)"),
    (4194, 4194, "cAdvisor"),
    (4222, 4222, "NATS"),
    (4369, 4369, "Erlang port mapper"),
    (4505, 4506, "Salt"),
    (4646, 4648, "Nomad"),
    (4750, 4750, "Smokescreen, an HTTP proxy"),
    (4899, 4899, "Radmin"),
    (5005, 5005, "Java debugger"),
    (5044, 5044, "Logstash"),
    (5060, 5061, "SIP (Fetch)"),
    (5222, 5222, "XMPP"),
    (5269, 5269, "XMPP servers"),
    (5349, 5349, "STUN and TURN over TLS"),
    (5353, 5353, "multicast DNS"),
    (5432, 5432, "PostgreSQL"),
    (5439, 5439, "Redshift"),
    (5555, 5555, "Android debugger"),
    (5666, 5666, "Nagios agent"),
    (5671, 5672, "AMQP"),
    (5900, 5910, "VNC"),
    (5938, 5938, "TeamViewer"),
    (5984, 5984, "CouchDB"),
    (5985, 5986, "Windows remote management"),
    (6000, 6063, "X11 (Fetch: 6000)"),
    (6222, 6222, "NATS cluster"),
    (6379, 6380, "Redis"),
    (6432, 6432, "PgBouncer"),
    (6443, 6443, "Kubernetes API"),
    (6566, 6566, "scanners, SANE (Fetch)"),
    (6660, 6669, "IRC (Fetch: from 6665)"),
    (6679, 6679, "IRC over TLS (Fetch)"),
    (6697, 6697, "IRC over TLS (Fetch)"),
    (6789, 6789, "Ceph monitor"),
    (7077, 7077, "Spark"),
    (7199, 7199, "Cassandra, JMX"),
    (7687, 7687, "Neo4j"),
    (8009, 8009, "AJP"),
    (8020, 8020, "HDFS"),
    (8125, 8125, "StatsD"),
    (8200, 8201, "Vault"),
    (8300, 8302, "Consul peers"),
    (8500, 8503, "Consul"),
    (8600, 8600, "Consul, DNS"),
    (8883, 8883, "MQTT over TLS"),
    (9042, 9042, "Cassandra"),
    (9050, 9051, "Tor"),
    (9092, 9094, "Kafka"),
    (9100, 9100, "printers, raw"),
    (9160, 9160, "Cassandra, Thrift"),
    (9200, 9200, "Elasticsearch"),
    (9229, 9229, "Node.js debugger"),
    (9300, 9300, "Elasticsearch transport"),
    (9418, 9418, "git"),
    (10050, 10051, "Zabbix"),
    (10080, 10080, "Amanda (Fetch)"),
    (10250, 10250, "kubelet"),
    (10255, 10259, "kubelet, read-only, and Kubernetes control plane"),
    (11210, 11211, "Couchbase, memcached"),
    (12201, 12201, "Graylog"),
    (16379, 16379, "Redis cluster bus"),
    (24007, 24008, "GlusterFS"),
    (24224, 24224, "Fluentd"),
    (25672, 25672, "RabbitMQ peers"),
    (26379, 26379, "Redis Sentinel"),
    (27017, 27019, "MongoDB"),
    (28015, 28015, "RethinkDB"),
    (61613, 61616, "ActiveMQ"),
)

SERVICE_PORTS: Final = {
    port: service for first, last, service in _SERVICES for port in range(first, last + 1)
}
"""Port → what usually listens there."""


def is_allowed_port(port: int) -> bool:
    """Say whether a webhook may be sent to this TCP port."""
    if port in WEB_PORTS:
        return True
    return LOWEST_FREE_PORT <= port <= _HIGHEST_PORT and port not in SERVICE_PORTS
