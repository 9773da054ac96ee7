"""Envoy itself, and a client made with grpc-go and Envoy's published protos: scripts/envoy and scripts/grpc-client put them into
a cache. Each can say why it is missing."""

import json
import subprocess

from .daemon import ROOT
from .ports import free_port
from .real import Program


def _path(script):
    return subprocess.run([ROOT / "scripts" / script, "--path"], check=True, capture_output=True, text=True).stdout.strip()


def missing(script):
    """Why it cannot run here, or None."""
    path = _path(script)
    done = subprocess.run(["test", "-x", path], check=False)
    return f"{path} is not there: run scripts/{script}" if done.returncode else None


def grpc_client(port, *args):
    """Runs it to its end; returns its output."""
    done = subprocess.run([_path("grpc-client"), "-addr", f"127.0.0.1:{port}", *map(str, args)], capture_output=True, text=True,
                          timeout=90, check=False)
    return done.stdout.strip() + done.stderr.strip()


def _address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name, port, **more):
    return {"name": name, "type": "STATIC", "connect_timeout": "5s", **more,
            "load_assignment": {"cluster_name": name,
                                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]}}


def _typed(kind, **fields):
    return {"@type": "type.googleapis.com/envoy." + kind, **fields}


class Envoy(Program):
    """A proxy: <http_port> and <tcp_port> lead to <upstream>, whose cluster has a name as Istio gives it; both are logged to
    <als>."""

    CLUSTER = "outbound|80||web.shop.svc.cluster.local"

    def __init__(self, directory, upstream, als):
        super().__init__(directory)
        self.http_port, self.tcp_port = free_port(), free_port()
        config = self.dir / "envoy.json"
        config.write_text(json.dumps(self._config(upstream, als)))
        self.spawn(_path("envoy"), "-c", config, "--concurrency", "1", "--log-level", "warn", "--disable-hot-restart",
                   "--use-dynamic-base-id")
        self.wait_listening(self.http_port)  # a probe of the other port would be logged

    def _log(self, kind):
        name = "Tcp" if kind == "tcp" else "Http"
        return [{"name": f"envoy.access_loggers.{kind}_grpc", "typed_config": _typed(
            f"extensions.access_loggers.grpc.v3.{name}GrpcAccessLogConfig", common_config={
                "log_name": f"{kind}-log", "transport_api_version": "V3", "buffer_flush_interval": "0.1s",
                "grpc_service": {"envoy_grpc": {"cluster_name": "als"}}})}]

    def _config(self, upstream, als):
        manager = _typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="http",
                         access_log=self._log("http"),
                         http_filters=[{"name": "envoy.filters.http.router", "typed_config": _typed("extensions.filters.http.router.v3.Router")}],
                         route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                             {"match": {"prefix": "/"}, "route": {"cluster": self.CLUSTER}}]}]})
        tcp = _typed("extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="tcp", cluster=self.CLUSTER,
                     access_log=self._log("tcp"))
        http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _typed(
            "extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}})}
        return {
            "node": {"id": "sidecar~10.0.0.1~web-64cd4f4ff7-6bqb8.shop~shop.svc.cluster.local", "cluster": "web.shop"},
            "static_resources": {
                "listeners": [
                    {"name": "http", "address": _address(self.http_port), "filter_chains": [{"filters": [
                        {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]},
                    {"name": "tcp", "address": _address(self.tcp_port), "filter_chains": [{"filters": [
                        {"name": "envoy.filters.network.tcp_proxy", "typed_config": tcp}]}]},
                ],
                "clusters": [_cluster(self.CLUSTER, upstream), _cluster("als", als, typed_extension_protocol_options=http2)],
            },
        }
