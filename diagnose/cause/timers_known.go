package cause

import (
	"cmp"
	"slices"
	"time"
)

const sec = time.Second

// KnownTimers are defaults of products in wide use, as their sources had them in November 2026.
var KnownTimers = []Timer{
	{2 * sec, "gunicorn, asynchronous workers", "keepalive", ByServer, "AD", "gunicorn config.py", true},
	{5 * sec, "Node.js up to 25", "server.keepAliveTimeout", ByServer, "AD", "Node.js API documentation, http", true},
	{5 * sec, "uvicorn", "timeout_keep_alive", ByServer, "AD", "uvicorn config.py", true},
	{5 * sec, "Apache httpd", "KeepAliveTimeout", ByServer, "AD", "", false},
	{5 * sec, "Java HttpURLConnection", "http.keepAlive cache", ByClient, "A", "", false},
	{15 * sec, "PgBouncer", "server_connect_timeout", ByServer, "E", "PgBouncer config.md", true},
	{20 * sec, "Tomcat with its shipped server.xml", "connectionTimeout", ByServer, "AD", "Tomcat HTTP connector documentation", true},
	{30 * sec, "gunicorn", "timeout", ByServer, "E", "gunicorn config.py", true},
	{50 * sec, "HAProxy, as in its manual's examples", "timeout server", ByServer, "A", "HAProxy configuration manual", true},
	{50 * sec, "HAProxy, as in its manual's examples", "timeout client", ByClient, "A", "HAProxy configuration manual", true},
	{60 * sec, "AWS Application and Classic Load Balancer", "idle timeout", ByClient, "AE", "AWS documentation", true},
	{60 * sec, "nginx as a proxy", "proxy_read_timeout", ByServer, "E", "nginx source, ngx_http_proxy_module", true},
	{60 * sec, "nginx", "client_header_timeout, client_body_timeout", ByServer, "A", "nginx source, ngx_http_core_module", true},
	{60 * sec, "nginx towards its upstreams", "keepalive_timeout of upstream", ByClient, "A", "nginx source, ngx_http_upstream_keepalive_module", true},
	{60 * sec, "Traefik", "respondingTimeouts.readTimeout", ByServer, "AE", "Traefik static configuration", true},
	{60 * sec, "Tomcat", "connectionTimeout", ByServer, "AD", "Tomcat HTTP connector documentation", true},
	{60 * sec, ".NET 6 and later, connection pool", "PooledConnectionIdleTimeout", ByClient, "A", "Microsoft documentation", true},
	{60 * sec, "PgBouncer", "client_login_timeout", ByServer, "A", "PgBouncer config.md", true},
	{65 * sec, "Node.js from 2026 on", "server.keepAliveTimeout", ByServer, "AD", "Node.js sources", true},
	{65 * sec, "Puma", "persistent_timeout", ByServer, "AD", "Puma configuration.rb", true},
	{75 * sec, "nginx", "keepalive_timeout", ByServer, "AD", "nginx source, ngx_http_core_module", true},
	{90 * sec, "Go net/http", "Transport.IdleConnTimeout", ByClient, "A", "", false},
	{90 * sec, "Traefik towards its backends", "forwardingTimeouts.idleConnTimeout", ByClient, "A", "Traefik http_config.go", true},
	{120 * sec, ".NET Core up to 5, connection pool", "PooledConnectionIdleTimeout", ByClient, "A", "Microsoft documentation", true},
	{130 * sec, "Kestrel", "KeepAliveTimeout", ByServer, "AD", "", false},
	{180 * sec, "Traefik", "respondingTimeouts.idleTimeout", ByServer, "A", "Traefik static configuration", true},
	{240 * sec, "Azure Load Balancer and NAT, silent by default", "idleTimeoutInMinutes", ByPath, "C", "Microsoft documentation", true},
	{240 * sec, "Azure Load Balancer with TCP reset enabled", "idleTimeoutInMinutes", ByPath, "A", "Microsoft documentation", true},
	{300 * sec, "Envoy", "stream_idle_timeout", ByServer, "AE", "Envoy timeouts FAQ", true},
	{300 * sec, "OkHttp connection pool", "keepAliveDuration", ByClient, "A", "OkHttp documentation", true},
	{300 * sec, "F5 BIG-IP", "idle timeout", ByPath, "AB", "", false},
	{350 * sec, "AWS Network Load Balancer", "tcp.idle_timeout.seconds", ByPath, "B", "AWS documentation", true},
	{350 * sec, "AWS NAT gateway", "", ByPath, "B", "", false},
	{350 * sec, "AWS Network Firewall, and security groups on Nitro v6", "TcpIdleTimeoutSeconds", ByPath, "C", "AWS documentation", true},
	{540 * sec, "Kafka client", "connections.max.idle.ms", ByClient, "A", "", false},
	{600 * sec, "Kafka broker", "connections.max.idle.ms", ByServer, "A", "", false},
	{600 * sec, "Google Cloud VPC connection tracking", "", ByPath, "C", "Google Cloud documentation", true},
	{600 * sec, "Google Cloud HTTP load balancer towards backends", "", ByClient, "A", "Google Cloud documentation", true},
	{600 * sec, "nginx stream proxy", "proxy_timeout", ByServer, "A", "nginx source, ngx_stream_proxy_module", true},
	{600 * sec, "PgBouncer", "server_idle_timeout", ByClient, "A", "PgBouncer config.md", true},
	{600 * sec, "HikariCP", "idleTimeout", ByClient, "A", "", false},
	{900 * sec, "Linux IPVS (kube-proxy, kube-router, Docker Swarm)", "ipvsadm --set", ByPath, "B", "ipvsadm output in public reports", true},
	{1200 * sec, "Google Cloud NAT", "tcpEstablishedIdleTimeoutSec", ByPath, "C", "public reports", true},
	{1800 * sec, "HikariCP", "maxLifetime", ByClient, "A", "", false},
	{3600 * sec, "Envoy", "idle_timeout of the TCP proxy", ByServer, "A", "Envoy timeouts FAQ", true},
	{3600 * sec, "Cisco ASA", "timeout conn", ByPath, "ABC", "Cisco documentation", true},
	{3600 * sec, "FortiGate", "session-ttl", ByPath, "C", "Fortinet documentation", true},
	{3600 * sec, "Palo Alto, Check Point", "session timeout", ByPath, "C", "", false},
	{7200 * sec, "NSX gateway firewall", "TCP established", ByPath, "C", "VMware documentation", true},
	{28800 * sec, "MySQL", "wait_timeout", ByServer, "AD", "", false},
	{43200 * sec, "NSX distributed firewall", "TCP established", ByPath, "C", "VMware documentation", true},
	{86400 * sec, "kube-proxy", "TCPEstablishedTimeout", ByPath, "BC", "Kubernetes defaults", true},
	{432000 * sec, "Linux connection tracking", "nf_conntrack_tcp_timeout_established", ByPath, "BC", "kernel documentation", true},
}

// nearest are the known timers, those nearest to d first.
func nearest(d time.Duration) []Timer {
	timers := slices.Clone(KnownTimers)
	slices.SortStableFunc(timers, func(a, b Timer) int {
		return cmp.Compare((a.Value - d).Abs(), (b.Value - d).Abs())
	})
	return timers
}
