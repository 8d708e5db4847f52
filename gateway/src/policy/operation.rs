//! The operations of the daemon, as a type: what is decided for one is decided
//! by a `match`, so that an operation cannot be added with something left open.

use std::fmt;

macro_rules! operations {
    ($($name:ident,)*) => {
        /// An operation of the Engine API by its id there (our own id for a route
        /// that the API does not document), in the order of
        /// [`ROUTES`](super::routes::ROUTES).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)] // their reference is the Engine API's
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// All of them.
            pub const ALL: &[Operation] = &[$(Operation::$name,)*];

            /// The id, as the audit log, the metrics and a role's `allow` have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => stringify!($name),)*
                }
            }
        }
    };
}

operations! {
    ContainerList, ContainerCreate, ContainerInspect, ContainerTop, ContainerLogs, ContainerChanges,
    ContainerExport, ContainerStats, ContainerResize, ContainerStart, ContainerStop, ContainerRestart,
    ContainerKill, ContainerUpdate, ContainerRename, ContainerPause, ContainerUnpause, ContainerAttach,
    ContainerAttachWebsocket, ContainerWait, ContainerDelete, ContainerArchiveInfo, ContainerArchive,
    PutContainerArchive, ContainerPrune, ImageList, ImageBuild, BuildPrune, ImageCreate, ImageInspect,
    ImageHistory, ImageAttestations, ImagePush, ImageTag, ImageDelete, ImageSearch, ImagePrune, ImageCommit,
    ImageGet, ImageGetAll, ImageLoad, NetworkList, NetworkInspect, NetworkDelete, NetworkCreate, NetworkConnect,
    NetworkDisconnect, NetworkPrune, VolumeList, VolumeCreate, VolumeInspect, VolumeUpdate, VolumeDelete,
    VolumePrune, ContainerExec, ExecStart, ExecResize, ExecInspect, SwarmInspect, SwarmInit, SwarmJoin,
    SwarmLeave, SwarmUpdate, SwarmUnlockkey, SwarmUnlock, NodeList, NodeInspect, NodeDelete, NodeUpdate,
    ServiceList, ServiceCreate, ServiceInspect, ServiceDelete, ServiceUpdate, ServiceLogs, TaskList,
    TaskInspect, TaskLogs, SecretList, SecretCreate, SecretInspect, SecretDelete, SecretUpdate, ConfigList,
    ConfigCreate, ConfigInspect, ConfigDelete, ConfigUpdate, PluginList, GetPluginPrivileges, PluginPull,
    PluginInspect, PluginDelete, PluginEnable, PluginDisable, PluginUpgrade, PluginCreate, PluginPush,
    PluginSet, SystemAuth, SystemInfo, SystemVersion, SystemPing, SystemPingHead, SystemEvents, SystemDataUsage,
    DistributionInspect, Session, CheckpointList, CheckpointCreate, CheckpointDelete, ContainerCopyLegacy,
    BuildCancel, BuildKitGrpc, DebugVars, DebugPprof, DebugPprofCmdline, DebugPprofProfile, DebugPprofSymbol,
    DebugPprofTrace, DebugPprofNamed, Metrics,
}

impl Operation {
    /// The operation of an id.
    #[must_use]
    pub fn of(name: &str) -> Option<Operation> {
        Operation::ALL.iter().copied().find(|operation| operation.name() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
