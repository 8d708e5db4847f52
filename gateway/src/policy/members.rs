//! Every member of the bodies that are understood, with what it may hold.
//! Source: the Engine API's ContainerConfig, HostConfig, Resources,
//! EndpointSettings, Mount, IPAM, v1.41 to v1.56.

use super::shape::{Members, Shape};
use Shape::{
    Alias, Command, Denied, Flag, Grant, GrantUnlessNull, Ignored, Int, Keys, List, Loose, Map, Object, Set, Text,
    TextMap, Texts,
};

/// `POST /containers/create`.
pub const CREATE: Members = &[
    ("Hostname", Text),
    ("Domainname", Text),
    ("User", Text),
    ("AttachStdin", Flag),
    ("AttachStdout", Flag),
    ("AttachStderr", Flag),
    ("ExposedPorts", Set),
    ("Tty", Flag),
    ("OpenStdin", Flag),
    ("StdinOnce", Flag),
    ("Env", Texts),
    ("Cmd", Command),
    ("Healthcheck", Object(HEALTH)),
    ("ArgsEscaped", Denied),
    ("Image", Text),
    ("Volumes", Set),
    ("WorkingDir", Text),
    ("Entrypoint", Command),
    ("NetworkDisabled", Flag),
    ("MacAddress", Grant("mac-address", &Text)),
    ("OnBuild", Denied),
    ("Labels", TextMap),
    ("StopSignal", Text),
    ("StopTimeout", Int),
    ("Shell", Texts),
    ("HostConfig", Object(HOST)),
    // docker-py writes the network's name in the place of `EndpointsConfig`.
    ("NetworkingConfig", Loose(&[("EndpointsConfig", Map(&Object(ENDPOINT)))])),
    // Of the query; dockerode repeats them here.
    ("name", Ignored),
    ("platform", Ignored),
    // Members of HostConfig that engines before 25 read here too.
    ("VolumesFrom", Denied),
    ("VolumeDriver", Denied),
    ("Memory", Denied),
    ("MemorySwap", Denied),
    ("CpuShares", Denied),
    ("CpusetCpus", Denied),
    ("Cpuset", Denied),
];

/// `POST /commit`: what the image's configuration takes over from the body.
pub const COMMIT: Members = &[
    ("Hostname", Text),
    ("Domainname", Text),
    ("User", Text),
    ("AttachStdin", Flag),
    ("AttachStdout", Flag),
    ("AttachStderr", Flag),
    ("ExposedPorts", Set),
    ("Tty", Flag),
    ("OpenStdin", Flag),
    ("StdinOnce", Flag),
    ("Env", Texts),
    ("Cmd", Command),
    ("Healthcheck", Object(HEALTH)),
    ("ArgsEscaped", Flag),
    ("Image", Text),
    ("Volumes", Set),
    ("WorkingDir", Text),
    ("Entrypoint", Command),
    ("NetworkDisabled", Flag),
    ("MacAddress", Denied),
    ("OnBuild", Texts),
    ("Labels", TextMap),
    ("StopSignal", Text),
    ("StopTimeout", Int),
    ("Shell", Texts),
    // Of the query; dockerode repeats them here.
    ("container", Ignored),
    ("repo", Ignored),
    ("tag", Ignored),
    ("comment", Ignored),
    ("author", Ignored),
    ("pause", Ignored),
    ("changes", Ignored),
];

/// `POST /containers/{id}/start`: the daemon refuses a body that says something.
pub const START: Members = &[];

/// `POST /images/{name}/push`: engines before 25 read credentials here, where
/// the header is missing. They belong in the header.
pub const PUSH: Members = &[
    ("tag", Ignored),
    ("username", Denied),
    ("password", Denied),
    ("auth", Denied),
    ("email", Denied),
    ("serveraddress", Denied),
    ("identitytoken", Denied),
    ("registrytoken", Denied),
];

const HEALTH: Members = &[
    ("Test", Texts),
    ("Interval", Int),
    ("Timeout", Int),
    ("Retries", Int),
    ("StartPeriod", Int),
    ("StartInterval", Int),
];

const RESTART: Shape = Object(&[("Name", Text), ("MaximumRetryCount", Int)]);
const ULIMITS: Shape = List(&Object(&[("Name", Text), ("Soft", Int), ("Hard", Int)]));

const HOST: Members = &[
    ("Binds", Texts),
    ("ContainerIDFile", Ignored),
    ("LogConfig", Object(&[("Type", Text), ("Config", TextMap)])),
    ("NetworkMode", Text),
    ("PortBindings", Map(&List(&Object(&[("HostIp", Text), ("HostPort", Text)])))),
    ("RestartPolicy", RESTART),
    ("AutoRemove", Flag),
    ("VolumeDriver", Text),
    ("VolumesFrom", Texts),
    ("ConsoleSize", List(&Int)),
    ("Annotations", Grant("runtime", &TextMap)),
    ("CapAdd", Texts),
    ("CapDrop", Texts),
    ("Capabilities", Denied),
    ("CgroupnsMode", Text),
    ("Dns", Texts),
    ("DnsOptions", Texts),
    ("DnsSearch", Texts),
    ("ExtraHosts", Texts),
    ("GroupAdd", Grant("groups", &Texts)),
    ("IpcMode", Text),
    ("Cgroup", Denied),
    ("Links", Texts),
    ("OomScoreAdj", Int),
    ("PidMode", Text),
    ("Privileged", Grant("privileged", &Flag)),
    ("PublishAllPorts", Grant("publish-all", &Flag)),
    ("ReadonlyRootfs", Flag),
    ("SecurityOpt", Texts),
    ("StorageOpt", Denied),
    ("Tmpfs", TextMap),
    ("UTSMode", Text),
    ("UsernsMode", Text),
    ("ShmSize", Int),
    ("Sysctls", TextMap),
    ("Runtime", Grant("runtime", &Text)),
    ("Isolation", Text),
    ("Mounts", List(&Object(MOUNT))),
    ("MaskedPaths", GrantUnlessNull("security-opt", &Texts)),
    ("ReadonlyPaths", GrantUnlessNull("security-opt", &Texts)),
    ("Init", Flag),
    ("Umask", Denied),
    // Resources; the same list is in UPDATE
    ("CpuShares", Int),
    ("Memory", Int),
    ("NanoCpus", Int),
    ("CgroupParent", Denied),
    ("BlkioWeight", Int),
    ("BlkioWeightDevice", Denied),
    ("BlkioDeviceReadBps", Denied),
    ("BlkioDeviceWriteBps", Denied),
    ("BlkioDeviceReadIOps", Denied),
    ("BlkioDeviceWriteIOps", Denied),
    ("CpuPeriod", Int),
    ("CpuQuota", Int),
    ("CpuRealtimePeriod", Denied),
    ("CpuRealtimeRuntime", Denied),
    ("CpusetCpus", Text),
    ("CpusetMems", Text),
    ("Devices", Grant("devices", &DEVICES)),
    ("DeviceCgroupRules", Grant("devices", &Texts)),
    ("DeviceRequests", Grant("devices", &REQUESTS)),
    ("KernelMemory", Denied),
    ("KernelMemoryTCP", Denied),
    ("MemoryReservation", Int),
    ("MemorySwap", Int),
    ("MemorySwappiness", Int),
    ("OomKillDisable", Grant("oom", &Flag)),
    ("PidsLimit", Int),
    ("Ulimits", ULIMITS),
    ("CpuCount", Denied),
    ("CpuPercent", Denied),
    ("IOMaximumIOps", Denied),
    ("IOMaximumBandwidth", Denied),
];

const DEVICES: Shape = List(&Object(&[("PathOnHost", Text), ("PathInContainer", Text), ("CgroupPermissions", Text)]));
const REQUESTS: Shape = List(&Object(&[
    ("Driver", Text),
    ("Count", Int),
    ("DeviceIDs", Texts),
    ("Capabilities", List(&Texts)),
    ("Options", TextMap),
]));

const MOUNT: Members = &[
    ("Type", Text),
    ("Source", Text),
    ("Target", Text),
    ("ReadOnly", Flag),
    ("Consistency", Ignored),
    (
        "BindOptions",
        Object(&[
            ("Propagation", Text),
            ("NonRecursive", Flag),
            ("CreateMountpoint", Ignored),
            ("ReadOnlyNonRecursive", Flag),
            ("ReadOnlyForceRecursive", Flag),
        ]),
    ),
    ("VolumeOptions", Object(&[("NoCopy", Flag), ("Labels", TextMap), ("DriverConfig", Denied), ("Subpath", Text)])),
    ("TmpfsOptions", Object(&[("SizeBytes", Int), ("Mode", Int), ("Options", Denied)])),
    ("ImageOptions", Object(&[("Subpath", Text)])),
    ("ClusterOptions", Denied),
];

/// An endpoint's settings, of create and of connect.
pub const ENDPOINT: Members = &[
    ("IPAMConfig", Object(&[("IPv4Address", Text), ("IPv6Address", Text), ("LinkLocalIPs", Denied)])),
    ("Links", Texts),
    ("Aliases", Texts),
    ("MacAddress", Grant("mac-address", &Text)),
    ("DriverOpts", Denied),
    ("GwPriority", Int),
    ("NetworkID", Ignored),
    ("EndpointID", Ignored),
    ("Gateway", Ignored),
    ("IPAddress", Ignored),
    ("IPPrefixLen", Ignored),
    ("IPv6Gateway", Ignored),
    ("GlobalIPv6Address", Ignored),
    ("GlobalIPv6PrefixLen", Ignored),
    ("DNSNames", Ignored),
];

/// `POST /containers/{id}/update`.
pub const UPDATE: Members = &[
    ("CpuShares", Int),
    ("Memory", Int),
    ("NanoCpus", Int),
    ("CgroupParent", Denied),
    ("BlkioWeight", Int),
    ("BlkioWeightDevice", Denied),
    ("BlkioDeviceReadBps", Denied),
    ("BlkioDeviceWriteBps", Denied),
    ("BlkioDeviceReadIOps", Denied),
    ("BlkioDeviceWriteIOps", Denied),
    ("CpuPeriod", Int),
    ("CpuQuota", Int),
    ("CpuRealtimePeriod", Denied),
    ("CpuRealtimeRuntime", Denied),
    ("CpusetCpus", Text),
    ("CpusetMems", Text),
    ("Devices", Denied),
    ("DeviceCgroupRules", Denied),
    ("DeviceRequests", Denied),
    ("KernelMemory", Denied),
    ("KernelMemoryTCP", Denied),
    ("MemoryReservation", Int),
    ("MemorySwap", Int),
    ("MemorySwappiness", Denied),
    ("OomKillDisable", Denied),
    ("PidsLimit", Int),
    ("Ulimits", Denied),
    ("CpuCount", Denied),
    ("CpuPercent", Denied),
    ("IOMaximumIOps", Denied),
    ("IOMaximumBandwidth", Denied),
    ("RestartPolicy", RESTART),
    // Described, but no member of what the daemon decodes.
    ("Init", Ignored),
];

/// `POST /containers/{id}/exec`.
pub const EXEC: Members = &[
    ("User", Text),
    ("Privileged", Grant("privileged", &Flag)),
    ("Tty", Flag),
    ("ConsoleSize", List(&Int)),
    ("AttachStdin", Flag),
    ("AttachStdout", Flag),
    ("AttachStderr", Flag),
    ("Detach", Flag),
    ("DetachKeys", Keys),
    // As docker-py spells it.
    ("detachKeys", Alias("DetachKeys")),
    // The container is the path's.
    ("Container", Ignored),
    ("Env", Texts),
    ("WorkingDir", Text),
    ("Cmd", Texts),
];

/// `POST /exec/{id}/start`.
pub const EXEC_START: Members = &[
    ("Detach", Flag),
    ("Tty", Flag),
    ("ConsoleSize", List(&Int)),
    // Options of the clients' own: dockerode's two, bollard's one.
    ("hijack", Ignored),
    ("stdin", Ignored),
    ("OutputCapacity", Ignored),
];

/// `POST /networks/create`.
pub const NETWORK: Members = &[
    ("Name", Text),
    ("CheckDuplicate", Flag),
    ("Driver", Text),
    ("Scope", Text),
    ("Internal", Flag),
    ("Attachable", Flag),
    ("Ingress", Denied),
    ("ConfigOnly", Denied),
    ("ConfigFrom", Denied),
    ("EnableIPv4", Flag),
    ("EnableIPv6", Flag),
    (
        "IPAM",
        Object(&[
            ("Driver", Text),
            ("Options", Denied),
            (
                "Config",
                Grant(
                    "subnets",
                    &List(&Object(&[
                        ("Subnet", Text),
                        ("IPRange", Text),
                        ("Gateway", Text),
                        ("AuxiliaryAddresses", TextMap),
                    ])),
                ),
            ),
        ]),
    ),
    ("Options", Grant("subnets", &TextMap)),
    ("Labels", TextMap),
];

/// `POST /networks/{id}/connect`.
pub const CONNECT: Members = &[("Container", Text), ("EndpointConfig", Object(ENDPOINT))];

/// `POST /networks/{id}/disconnect`.
pub const DISCONNECT: Members = &[("Container", Text), ("Force", Flag)];

/// `POST /volumes/create`.
pub const VOLUME: Members =
    &[("Name", Text), ("Driver", Text), ("DriverOpts", Denied), ("Labels", TextMap), ("ClusterVolumeSpec", Denied)];

/// `POST /auth`, and what `X-Registry-Auth` holds.
pub const AUTH: Members = &[
    ("username", Text),
    ("password", Text),
    ("auth", Text),
    ("email", Text),
    ("serveraddress", Text),
    ("identitytoken", Text),
    ("registrytoken", Text),
];
