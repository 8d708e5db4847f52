//! `kernel_module`: a module that is loaded, at each boot too, or that can
//! never be loaded (modules-load.d(5), modprobe.d(5)).

use super::{Args, Field, Kind, Resource, Type, file, in_force};
use crate::observe::{PredictedState, Queries, Query};
use crate::plan::{Action, InForce, Meta, Op, PlanError, Planned, SystemOp};
use crate::values::AbsPath;

pub(super) const KIND: Kind = Kind {
    name: "kernel_module",
    summary: "A kernel module that is loaded now and at each boot, or that nothing can load.",
    main: "name",
    fields: &[
        Field::required("name", Type::String, "the module; '-' and '_' mean the same in it"),
        Field::optional(
            "state",
            Type::Enum(&["loaded", "blocked"]),
            "default \"loaded\"; \"blocked\" unloads it and makes every later attempt to load it fail",
        ),
    ],
    build,
};

/// Modules that hosts boot from or that their users cannot do without; why.
const NEEDED: [(&str, &str); 19] = [
    ("ahci", "disks hang on it"),
    ("btrfs", "hosts boot from it"),
    ("dm_crypt", "encrypted disks hang on it"),
    ("dm_mod", "logical volumes hang on it"),
    ("ext4", "hosts boot from it"),
    ("fat", "the EFI system partition needs it"),
    ("nf_tables", "firewalls need it"),
    ("nvme", "disks hang on it"),
    ("overlay", "containers need it"),
    ("sd_mod", "disks hang on it"),
    ("squashfs", "snaps and installers need it"),
    ("vfat", "the EFI system partition needs it"),
    ("virtio_blk", "disks of virtual machines hang on it"),
    ("virtio_net", "the network of virtual machines hangs on it"),
    ("virtio_pci", "devices of virtual machines hang on it"),
    ("virtio_scsi", "disks of virtual machines hang on it"),
    ("xen_blkfront", "disks of virtual machines hang on it"),
    ("xen_netfront", "the network of virtual machines hangs on it"),
    ("xfs", "hosts boot from it"),
];

#[derive(Debug)]
struct KernelModule {
    /// As /proc/modules writes it.
    name: String,
    blocked: bool,
    load_file: AbsPath,
    block_file: AbsPath,
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let given = args.string("name")?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if given.is_empty() || given.starts_with('-') || given.len() > 55 || !given.bytes().all(legal) {
        args.wrong_value(
            "name",
            format!("'{}' is not a name of a kernel module: use letters, digits, '_' and '-'", given.escape_debug()),
        );
    }
    let name = given.replace('-', "_");
    let blocked = args.string("state").as_deref() == Some("blocked");
    if let (true, Some((_, why))) = (blocked, NEEDED.iter().find(|(needed, _)| *needed == name)) {
        args.refuse("name", format!("{name} is not to be blocked: {why}"));
    }
    if !args.is_clean() {
        return None;
    }
    let load_file = format!("/etc/modules-load.d/stockade-{name}.conf").parse().ok()?;
    let block_file = format!("/etc/modprobe.d/stockade-{name}.conf").parse().ok()?;
    Some(Box::new(KernelModule { name, blocked, load_file, block_file }))
}

impl Resource for KernelModule {
    fn queries(&self, queries: &mut Queries) {
        let (ours, other) =
            if self.blocked { (&self.block_file, &self.load_file) } else { (&self.load_file, &self.block_file) };
        queries.extend([Query::Module(self.name.clone()), Query::Digest(ours.clone()), Query::Path(other.clone())]);
        in_force::ask_modules(queries);
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let module = host.module(&self.name)?;
        let name = &self.name;
        let mut planned = Planned::nothing();
        if module.builtin {
            if self.blocked {
                return Err(PlanError::Refused(format!(
                    "{name} is built into the kernel of this host: no file can block it"
                )));
            }
            planned.notes.push(format!("{name} is built into the kernel of this host"));
            return Ok(planned);
        }
        let (file, content, other) = if self.blocked {
            // "install" stops what asks for it by name or by alias; "blacklist" only the latter.
            (&self.block_file, format!("install {name} /bin/false\nblacklist {name}\n"), &self.load_file)
        } else {
            (&self.load_file, format!("{name}\n"), &self.block_file)
        };
        // First what says the contrary: a blocked module cannot be loaded.
        let contrary = file::absent(host, other)?;
        if !contrary.ops.is_empty() {
            let field = if self.blocked { "loaded at boot" } else { "blocked" };
            planned.change(field, Some("true"), Some("false"));
        }
        planned.ops.extend(contrary.ops);
        let mut kept = file::present(host, file, content.as_bytes(), &Meta::root(0o644), &None)?;
        if kept.action == Some(Action::Create) {
            kept.changes.clear();
            let field = if self.blocked { "blocked" } else { "loaded at boot" };
            kept.change(field, Some("false"), Some("true"));
        }
        planned.changes.extend(kept.changes);
        planned.diff = kept.diff;
        planned.follow_up_queries.extend(kept.follow_up_queries);
        planned.ops.extend(kept.ops);
        if module.loaded == self.blocked {
            if host.facts.init.is_empty() {
                planned.notes.push("no kernel of its own runs here: the running one is left alone".to_owned());
            } else {
                planned.change("loaded", Some(module.loaded.to_string()), Some((!self.blocked).to_string()));
                planned.ops.push(Op::System(SystemOp::Module { name: name.clone(), load: !self.blocked }));
                if self.blocked {
                    planned.notes.push(format!(
                        "if {name} is in use, it cannot be unloaded and the apply says so: restart the host then"
                    ));
                }
            }
        }
        Ok(planned)
    }
    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        match self.blocked {
            _ if host.module(&self.name)?.builtin => Ok(InForce::default()),
            true => in_force::blocked(host, &self.name),
            false => in_force::loadable(host, &self.name),
        }
    }
}
