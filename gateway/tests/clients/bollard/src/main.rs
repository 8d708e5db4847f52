//! bollard: its flows, one a line of output (`ok NAME`, `not ok NAME:: why`).
//!
//! DOCKER_HOST says where; CLIENTS_TOKEN, if set, goes into the header of every
//! request, as bollard's `with_request_modifier` allows.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error as Failed;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{
    ContainerConfig, ContainerCreateBody, ContainerUpdateBody, EndpointSettings, ExecConfig, HostConfig,
    NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest, PortBinding, VolumeCreateRequest,
};
use bollard::query_parameters as query;
use bollard::{API_DEFAULT_VERSION, Docker, body_full};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::header::{AUTHORIZATION, HeaderValue};
use tokio::io::AsyncWriteExt;

type Outcome = Result<(), Box<dyn Error>>;
type Filters = HashMap<String, Vec<String>>;

/// What every flow is given.
struct Site {
    docker: Docker,
    image: String,
    registry: String,
    /// A prefix of names of this run's own, and the label of what it makes.
    name: String,
    work: PathBuf,
}

macro_rules! ensure {
    ($condition:expr) => {
        if !$condition {
            return Err(concat!("not so: ", stringify!($condition)).into());
        }
    };
    ($condition:expr, $shown:expr) => {
        if !$condition {
            return Err(format!("not so: {}: {:?}", stringify!($condition), $shown).into());
        }
    };
}

fn text(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is needed"))
}

fn filter(key: &str, value: &str) -> Filters {
    HashMap::from([(key.to_owned(), vec![value.to_owned()])])
}

fn labels(key: &str) -> HashMap<String, String> {
    HashMap::from([(key.to_owned(), "1".to_owned())])
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

fn status(failed: &Failed) -> u16 {
    match failed {
        Failed::DockerResponseServerError { status_code, .. } => *status_code,
        _ => 0,
    }
}

/// Both outputs of a stream.
async fn outputs(mut stream: impl Stream<Item = Result<LogOutput, Failed>> + Unpin) -> Result<(String, String), Failed> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(part) = stream.next().await {
        match part? {
            LogOutput::StdErr { message } => err.extend_from_slice(&message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => out.extend_from_slice(&message),
            LogOutput::StdIn { .. } => {}
        }
    }
    Ok((String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned()))
}

async fn bytes(stream: impl Stream<Item = Result<Bytes, Failed>>) -> Result<Vec<u8>, Failed> {
    stream.try_fold(Vec::new(), |mut all, part| async move {
        all.extend_from_slice(&part);
        Ok(all)
    }).await
}

impl Site {
    fn unique(&self, what: &str) -> String {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        format!("{}-{what}-{}", self.name, COUNT.fetch_add(1, Ordering::Relaxed))
    }

    fn tar(&self, files: &[&str]) -> Result<Bytes, Box<dyn Error>> {
        let output = Command::new("tar").arg("-c").args(files).current_dir(&self.work).output()?;
        ensure!(output.status.success());
        Ok(output.stdout.into())
    }

    fn body(&self, command: &[&str]) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: words(command),
            labels: Some(labels(&self.name)),
            ..Default::default()
        }
    }

    async fn create(&self, body: ContainerCreateBody) -> Result<String, Failed> {
        let options = query::CreateContainerOptionsBuilder::new().name(&self.unique("c")).build();
        Ok(self.docker.create_container(Some(options), body).await?.id)
    }

    /// A container that runs until it is removed.
    async fn running(&self) -> Result<String, Failed> {
        let id = self.create(self.body(&["sleep", "600"])).await?;
        self.docker.start_container(&id, None::<query::StartContainerOptions>).await?;
        Ok(id)
    }

    async fn remove(&self, id: &str) -> Result<(), Failed> {
        let options = query::RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        self.docker.remove_container(id, Some(options)).await
    }

    async fn untag(&self, name: &str) -> Result<(), Failed> {
        self.docker.remove_image(name, None::<query::RemoveImageOptions>, None).await.map(drop)
    }

    async fn tag(&self, repo: &str, tag: &str) -> Result<(), Failed> {
        let options = query::TagImageOptionsBuilder::new().repo(repo).tag(tag).build();
        self.docker.tag_image(&self.image, Some(options)).await
    }

    /// Runs a command in a container: both outputs and the exit code.
    async fn exec(&self, id: &str, command: &[&str]) -> Result<(String, String, i64), Box<dyn Error>> {
        let config = ExecConfig {
            cmd: words(command),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let exec = self.docker.create_exec(id, config).await?.id;
        let StartExecResults::Attached { output, .. } = self.docker.start_exec(&exec, None).await? else {
            return Err("it is not attached".into());
        };
        let (out, err) = outputs(output).await?;
        let code = self.docker.inspect_exec(&exec).await?.exit_code.unwrap_or(-1);
        Ok((out, err, code))
    }
}

async fn ping(site: &Site) -> Outcome {
    ensure!(site.docker.ping().await? == "OK");
    Ok(())
}

async fn version(site: &Site) -> Outcome {
    ensure!(site.docker.version().await?.api_version.is_some());
    Ok(())
}

async fn info(site: &Site) -> Outcome {
    ensure!(site.docker.info().await?.os_type.as_deref() == Some("linux"));
    Ok(())
}

async fn df(site: &Site) -> Outcome {
    site.docker.df(None).await?;
    Ok(())
}

async fn events(site: &Site) -> Outcome {
    let filters = HashMap::from([("event", vec!["create"]), ("label", vec![site.name.as_str()])]);
    let mut events = site.docker.events(Some(query::EventsOptionsBuilder::new().filters(&filters).build()));
    let create = async {
        // The stream has no beginning that could be awaited: one of these comes after it.
        let mut made = Vec::new();
        for _ in 0..20 {
            made.push(site.create(site.body(&["true"])).await?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, Failed>(made)
    };
    let (event, made) = tokio::join!(events.next(), create);
    for id in made? {
        site.remove(&id).await?;
    }
    let event = event.ok_or("the stream ended")??;
    ensure!(event.action.as_deref() == Some("create"), event);
    Ok(())
}

async fn images_list(site: &Site) -> Outcome {
    let options = query::ListImagesOptionsBuilder::new().all(true).digests(true).filters(&filter("reference", &site.image));
    let found = site.docker.list_images(Some(options.build())).await?;
    ensure!(found.iter().any(|image| image.repo_tags.contains(&site.image)), found);
    Ok(())
}

async fn images_inspect_and_history(site: &Site) -> Outcome {
    ensure!(site.docker.inspect_image(&site.image).await?.os.as_deref() == Some("linux"));
    ensure!(!site.docker.image_history(&site.image).await?.is_empty());
    Ok(())
}

async fn images_tag_and_remove(site: &Site) -> Outcome {
    let repo = format!("{}/tagged", site.name);
    site.tag(&repo, "one").await?;
    let options = query::RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
    let removed = site.docker.remove_image(&format!("{repo}:one"), Some(options), None).await?;
    ensure!(removed.len() == 1, removed);
    Ok(())
}

async fn images_build(site: &Site) -> Outcome {
    let tag = format!("{}/built:1", site.name);
    let options = query::BuildImageOptionsBuilder::new()
        .dockerfile("Dockerfile")
        .t(&tag)
        .rm(true)
        .nocache(true)
        .buildargs(&HashMap::from([("WHAT", "given")]))
        .labels(&labels("extra"))
        .extrahosts("added:10.1.2.3")
        .build();
    let tar = body_full(site.tar(&["Dockerfile", "file"])?);
    let told: Vec<_> = site.docker.build_image(options, None, Some(tar)).try_collect().await?;
    ensure!(told.iter().any(|part| part.stream.as_deref().is_some_and(|line| line.contains("Successfully tagged"))), told);
    let made = site.docker.inspect_image(&tag).await?;
    ensure!(made.config.and_then(|config| config.labels).is_some_and(|labels| labels.contains_key("extra")));
    site.untag(&tag).await?;
    Ok(())
}

async fn images_export_and_import(site: &Site) -> Outcome {
    let repo = format!("{}/saved", site.name);
    site.tag(&repo, "1").await?;
    let name = format!("{repo}:1");
    let saved = bytes(site.docker.export_image(&name)).await?;
    site.untag(&name).await?;
    let options = query::ImportImageOptionsBuilder::new().quiet(true).build();
    let _: Vec<_> = site.docker.import_image(options, body_full(saved.into()), None).try_collect().await?;
    site.docker.inspect_image(&name).await?;
    site.untag(&name).await?;
    Ok(())
}

async fn images_export_several(site: &Site) -> Outcome {
    ensure!(bytes(site.docker.export_images(&[&site.image])).await?.len() > 1000);
    Ok(())
}

async fn images_from_a_file_system(site: &Site) -> Outcome {
    let repo = format!("{}/imported", site.name);
    let options = query::CreateImageOptionsBuilder::new().from_src("-").repo(&repo).tag("1").message("said").build();
    let tar = body_full(site.tar(&["file"])?);
    let _: Vec<_> = site.docker.create_image(Some(options), Some(tar), None).try_collect().await?;
    site.untag(&format!("{repo}:1")).await?;
    Ok(())
}

async fn images_push_and_pull(site: &Site) -> Outcome {
    let repo = format!("{}/{}/pushed", site.registry, site.name);
    site.tag(&repo, "1").await?;
    let options = query::PushImageOptionsBuilder::new().tag("1").build();
    let credentials = DockerCredentials {
        username: Some("somebody".into()),
        password: Some("secret".into()),
        ..Default::default()
    };
    let _: Vec<_> = site.docker.push_image(&repo, Some(options), Some(credentials)).try_collect().await?;
    site.untag(&format!("{repo}:1")).await?;
    for options in [
        query::CreateImageOptionsBuilder::new().from_image(&format!("{repo}:1")).build(),
        query::CreateImageOptionsBuilder::new().from_image(&repo).tag("1").build(),
    ] {
        let _: Vec<_> = site.docker.create_image(Some(options), None, None).try_collect().await?;
        site.untag(&format!("{repo}:1")).await?;
    }
    Ok(())
}

async fn images_push_without_credentials_and_distribution(site: &Site) -> Outcome {
    let repo = format!("{}/{}/distributed", site.registry, site.name);
    site.tag(&repo, "1").await?;
    let options = query::PushImageOptionsBuilder::new().tag("1").build();
    let pushed: Result<Vec<_>, _> = site.docker.push_image(&repo, Some(options), None).try_collect().await;
    pushed?;
    let told = site.docker.inspect_registry_image(&format!("{repo}:1"), None).await?;
    ensure!(told.descriptor.digest.is_some_and(|digest| digest.starts_with("sha256:")));
    site.untag(&format!("{repo}:1")).await?;
    Ok(())
}

async fn images_commit(site: &Site) -> Outcome {
    let id = site.create(site.body(&["true"])).await?;
    let options = query::CommitContainerOptionsBuilder::new()
        .container(&id)
        .repo(&format!("{}/committed", site.name))
        .tag("1")
        .comment("said")
        .author("me")
        .pause(true)
        .changes("CMD [\"cat\"]")
        .build();
    let made = site.docker.commit_container(options, ContainerConfig::default()).await?.id;
    let config = site.docker.inspect_image(&made).await?.config.unwrap_or_default();
    ensure!(config.cmd == words(&["cat"]), config);
    site.untag(&format!("{}/committed:1", site.name)).await?;
    site.remove(&id).await?;
    Ok(())
}

async fn images_prune_with_a_filter(site: &Site) -> Outcome {
    let options = query::PruneImagesOptionsBuilder::new().filters(&filter("label", &format!("{}-none", site.name))).build();
    ensure!(site.docker.prune_images(Some(options)).await?.space_reclaimed.unwrap_or(0) == 0);
    Ok(())
}

async fn images_missing(site: &Site) -> Outcome {
    let failed = site.docker.inspect_image(&format!("{}/none:1", site.name)).await.err().ok_or("it is there")?;
    ensure!(status(&failed) == 404, failed);
    Ok(())
}

async fn containers_from_create_to_removal(site: &Site) -> Outcome {
    let id = site.create(site.body(&["sh", "-c", "echo out; echo err >&2; exit 3"])).await?;
    site.docker.start_container(&id, None::<query::StartContainerOptions>).await?;
    let ended = site.docker.wait_container(&id, None::<query::WaitContainerOptions>).next().await.ok_or("no end")?;
    ensure!(matches!(ended, Err(Failed::DockerContainerWaitError { code: 3, .. })), ended);
    let options = query::LogsOptionsBuilder::new().stdout(true).stderr(true).tail("all").build();
    ensure!(outputs(site.docker.logs(&id, Some(options))).await? == ("out\n".into(), "err\n".into()));
    site.remove(&id).await?;
    let failed = site.docker.inspect_container(&id, None::<query::InspectContainerOptions>).await.err();
    ensure!(failed.as_ref().map(status) == Some(404), failed);
    Ok(())
}

async fn containers_logs_that_are_followed(site: &Site) -> Outcome {
    let id = site.create(site.body(&["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"])).await?;
    site.docker.start_container(&id, None::<query::StartContainerOptions>).await?;
    let options = query::LogsOptionsBuilder::new().follow(true).stdout(true).since(0).timestamps(false).build();
    ensure!(outputs(site.docker.logs(&id, Some(options))).await?.0 == "1\n2\n3\n");
    site.remove(&id).await?;
    Ok(())
}

async fn containers_list_and_inspect(site: &Site) -> Outcome {
    let id = site.running().await?;
    let filters = HashMap::from([("label", vec![site.name.as_str()]), ("status", vec!["running"])]);
    let options = query::ListContainersOptionsBuilder::new().all(true).size(true).limit(50).filters(&filters).build();
    let found = site.docker.list_containers(Some(options)).await?;
    ensure!(found.iter().any(|container| container.id.as_ref() == Some(&id)));
    let options = query::InspectContainerOptionsBuilder::new().size(true).build();
    ensure!(site.docker.inspect_container(&id, Some(options)).await?.size_root_fs.is_some());
    site.remove(&id).await?;
    Ok(())
}

async fn containers_attach_with_input(site: &Site) -> Outcome {
    let mut body = site.body(&["cat"]);
    (body.open_stdin, body.stdin_once, body.attach_stdin) = (Some(true), Some(true), Some(true));
    let id = site.create(body).await?;
    let options = query::AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true);
    let options = options.logs(true).detach_keys("ctrl-c").build();
    let AttachContainerResults { output, mut input } = site.docker.attach_container(&id, Some(options)).await?;
    site.docker.start_container(&id, None::<query::StartContainerOptions>).await?;
    input.write_all(b"to cat\n").await?;
    input.shutdown().await?;
    ensure!(outputs(output).await?.0 == "to cat\n");
    site.remove(&id).await?;
    Ok(())
}

async fn containers_attach_to_a_terminal_and_resize(site: &Site) -> Outcome {
    let mut body = site.body(&["sh"]);
    (body.open_stdin, body.tty) = (Some(true), Some(true));
    let id = site.create(body).await?;
    let options = query::AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).build();
    let AttachContainerResults { output, mut input } = site.docker.attach_container(&id, Some(options)).await?;
    site.docker.start_container(&id, None::<query::StartContainerOptions>).await?;
    let options = query::ResizeContainerTTYOptionsBuilder::new().h(33).w(99).build();
    site.docker.resize_container_tty(&id, options).await?;
    input.write_all(b"stty size; exit\n").await?;
    let (shown, _) = outputs(output).await?;
    ensure!(shown.contains("33 99"), shown);
    site.remove(&id).await?;
    Ok(())
}

async fn containers_restart_kill_stop(site: &Site) -> Outcome {
    let id = site.running().await?;
    site.docker.restart_container(&id, Some(query::RestartContainerOptionsBuilder::new().t(0).build())).await?;
    site.docker.kill_container(&id, Some(query::KillContainerOptionsBuilder::new().signal("SIGKILL").build())).await?;
    let _ = site.docker.wait_container(&id, None::<query::WaitContainerOptions>).next().await;
    site.docker.start_container(&id, None::<query::StartContainerOptions>).await?;
    site.docker.stop_container(&id, Some(query::StopContainerOptionsBuilder::new().t(0).build())).await?;
    site.remove(&id).await?;
    Ok(())
}

async fn containers_pause_and_unpause(site: &Site) -> Outcome {
    let id = site.running().await?;
    site.docker.pause_container(&id).await?;
    let state = site.docker.inspect_container(&id, None::<query::InspectContainerOptions>).await?.state;
    ensure!(state.and_then(|state| state.paused) == Some(true));
    site.docker.unpause_container(&id).await?;
    site.remove(&id).await?;
    Ok(())
}

async fn containers_rename(site: &Site) -> Outcome {
    let id = site.create(site.body(&["true"])).await?;
    let name = site.unique("renamed");
    site.docker.rename_container(&id, query::RenameContainerOptionsBuilder::new().name(&name).build()).await?;
    let found = site.docker.inspect_container(&name, None::<query::InspectContainerOptions>).await?;
    ensure!(found.id.as_ref() == Some(&id));
    site.remove(&name).await?;
    Ok(())
}

async fn containers_update(site: &Site) -> Outcome {
    let id = site.running().await?;
    let body = ContainerUpdateBody { memory: Some(64 << 20), memory_swap: Some(64 << 20), ..Default::default() };
    site.docker.update_container(&id, body).await?;
    let found = site.docker.inspect_container(&id, None::<query::InspectContainerOptions>).await?;
    ensure!(found.host_config.and_then(|host| host.memory) == Some(64 << 20));
    site.remove(&id).await?;
    Ok(())
}

async fn containers_top(site: &Site) -> Outcome {
    let id = site.running().await?;
    let told = site.docker.top_processes(&id, Some(query::TopOptionsBuilder::new().ps_args("aux").build())).await?;
    ensure!(told.processes.is_some_and(|processes| !processes.is_empty()));
    site.remove(&id).await?;
    Ok(())
}

async fn containers_stats(site: &Site) -> Outcome {
    let id = site.running().await?;
    for (stream, one_shot) in [(false, false), (false, true), (true, false)] {
        let options = query::StatsOptionsBuilder::new().stream(stream).one_shot(one_shot).build();
        site.docker.stats(&id, Some(options)).next().await.ok_or("no stats")??;
    }
    site.remove(&id).await?;
    Ok(())
}

async fn exec_with_both_outputs(site: &Site) -> Outcome {
    let id = site.running().await?;
    let told = site.exec(&id, &["sh", "-c", "echo out; echo err >&2; exit 5"]).await?;
    ensure!(told == ("out\n".into(), "err\n".into(), 5), told);
    site.remove(&id).await?;
    Ok(())
}

async fn exec_with_input(site: &Site) -> Outcome {
    let id = site.running().await?;
    let config = ExecConfig {
        cmd: words(&["wc", "-c"]),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        env: words(&["A=1"]),
        working_dir: Some("/tmp".into()),
        user: Some("65534".into()),
        ..Default::default()
    };
    let exec = site.docker.create_exec(&id, config).await?.id;
    let StartExecResults::Attached { output, mut input } = site.docker.start_exec(&exec, None).await? else {
        return Err("it is not attached".into());
    };
    input.write_all(&vec![0; 1 << 20]).await?;
    input.shutdown().await?;
    ensure!(outputs(output).await?.0 == "1048576\n");
    site.remove(&id).await?;
    Ok(())
}

async fn exec_with_a_terminal_and_resize(site: &Site) -> Outcome {
    let id = site.running().await?;
    let config = ExecConfig {
        cmd: words(&["sh"]),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        tty: Some(true),
        ..Default::default()
    };
    let exec = site.docker.create_exec(&id, config).await?.id;
    let options = StartExecOptions { tty: true, ..Default::default() };
    let StartExecResults::Attached { output, mut input } = site.docker.start_exec(&exec, Some(options)).await? else {
        return Err("it is not attached".into());
    };
    site.docker.resize_exec(&exec, query::ResizeExecOptionsBuilder::new().h(21).w(77).build()).await?;
    input.write_all(b"stty size; exit\n").await?;
    let (shown, _) = outputs(output).await?;
    ensure!(shown.contains("21 77"), shown);
    site.remove(&id).await?;
    Ok(())
}

async fn exec_detached(site: &Site) -> Outcome {
    let id = site.running().await?;
    let config = ExecConfig { cmd: words(&["true"]), ..Default::default() };
    let exec = site.docker.create_exec(&id, config).await?.id;
    site.docker.start_exec(&exec, Some(StartExecOptions { detach: true, ..Default::default() })).await?;
    while site.docker.inspect_exec(&exec).await?.running == Some(true) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(site.docker.inspect_exec(&exec).await?.exit_code == Some(0));
    site.remove(&id).await?;
    Ok(())
}

async fn containers_archive_both_ways(site: &Site) -> Outcome {
    let id = site.running().await?;
    let options = query::UploadToContainerOptionsBuilder::new().path("/tmp").build();
    site.docker.upload_to_container(&id, Some(options), body_full(site.tar(&["file"])?)).await?;
    let options = query::DownloadFromContainerOptionsBuilder::new().path("/tmp/file").build();
    let got = bytes(site.docker.download_from_container(&id, Some(options))).await?;
    ensure!(String::from_utf8_lossy(&got).contains("in the file"));
    site.remove(&id).await?;
    Ok(())
}

async fn containers_archive_info(site: &Site) -> Outcome {
    let id = site.running().await?;
    let options = query::ContainerArchiveInfoOptionsBuilder::new().path("/etc/passwd").build();
    let told = site.docker.get_container_archive_info(&id, Some(options)).await?;
    ensure!(format!("{told:?}").contains("passwd"), told);
    site.remove(&id).await?;
    Ok(())
}

async fn containers_changes_and_export(site: &Site) -> Outcome {
    let id = site.running().await?;
    site.exec(&id, &["touch", "/added"]).await?;
    let changes = site.docker.container_changes(&id).await?.unwrap_or_default();
    ensure!(changes.iter().any(|change| change.path == "/added"), changes);
    ensure!(String::from_utf8_lossy(&bytes(site.docker.export_container(&id)).await?).contains("added"));
    site.remove(&id).await?;
    Ok(())
}

async fn containers_ports_and_volumes(site: &Site) -> Outcome {
    let volume = site.unique("v");
    let mut body = site.body(&["sleep", "600"]);
    body.exposed_ports = Some(vec!["80/tcp".into()]);
    body.env = words(&["A=1"]);
    body.host_config = Some(HostConfig {
        port_bindings: Some(HashMap::from([(
            "80/tcp".to_owned(),
            Some(vec![PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None }]),
        )])),
        binds: Some(vec![format!("{volume}:/data")]),
        memory: Some(64 << 20),
        ..Default::default()
    });
    let id = site.create(body).await?;
    site.docker.start_container(&id, None::<query::StartContainerOptions>).await?;
    let found = site.docker.inspect_container(&id, None::<query::InspectContainerOptions>).await?;
    ensure!(found.mounts.unwrap_or_default().iter().any(|mount| mount.name.as_ref() == Some(&volume)));
    let ports = found.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
    ensure!(ports.get("80/tcp").is_some_and(Option::is_some), ports);
    site.remove(&id).await?;
    site.docker.remove_volume(&volume, None::<query::RemoveVolumeOptions>).await?;
    Ok(())
}

async fn containers_wait_for_removal(site: &Site) -> Outcome {
    let mut body = site.body(&["true"]);
    body.host_config = Some(HostConfig { auto_remove: Some(true), ..Default::default() });
    let id = site.create(body).await?;
    let options = query::WaitContainerOptionsBuilder::new().condition("removed").build();
    let mut waiting = site.docker.wait_container(&id, Some(options));
    let start = async {
        // The wait is asked for first, or there is nothing left to wait for.
        tokio::time::sleep(Duration::from_millis(500)).await;
        site.docker.start_container(&id, None::<query::StartContainerOptions>).await
    };
    let (ended, started) = tokio::join!(waiting.next(), start);
    started?;
    ensure!(ended.ok_or("no end")??.status_code == 0);
    Ok(())
}

async fn containers_prune_with_a_filter(site: &Site) -> Outcome {
    let label = format!("{}-prune", site.name);
    let mut body = site.body(&["true"]);
    body.labels = Some(labels(&label));
    let id = site.create(body).await?;
    let options = query::PruneContainersOptionsBuilder::new().filters(&filter("label", &label)).build();
    ensure!(site.docker.prune_containers(Some(options)).await?.containers_deleted == Some(vec![id]));
    Ok(())
}

async fn networks_from_create_to_removal(site: &Site) -> Outcome {
    let name = site.unique("net");
    let request = NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".into()),
        labels: Some(labels(&site.name)),
        ..Default::default()
    };
    site.docker.create_network(request).await?;
    let options = query::InspectNetworkOptionsBuilder::new().verbose(true).build();
    ensure!(site.docker.inspect_network(&name, Some(options)).await?.name.as_ref() == Some(&name));
    let options = query::ListNetworksOptionsBuilder::new().filters(&filter("name", &name)).build();
    ensure!(site.docker.list_networks(Some(options)).await?.len() == 1);
    site.docker.remove_network(&name).await?;
    Ok(())
}

async fn networks_connect_and_disconnect(site: &Site) -> Outcome {
    let name = site.unique("net");
    site.docker.create_network(NetworkCreateRequest { name: name.clone(), ..Default::default() }).await?;
    let id = site.running().await?;
    let endpoint = EndpointSettings { aliases: words(&["other"]), ..Default::default() };
    let request = NetworkConnectRequest { container: id.clone(), endpoint_config: Some(endpoint) };
    site.docker.connect_network(&name, request).await?;
    let request = NetworkDisconnectRequest { container: id.clone(), force: Some(true) };
    site.docker.disconnect_network(&name, request).await?;
    site.remove(&id).await?;
    site.docker.remove_network(&name).await?;
    Ok(())
}

async fn networks_prune_with_a_filter(site: &Site) -> Outcome {
    let (name, label) = (site.unique("net"), format!("{}-prune", site.name));
    let request = NetworkCreateRequest { name: name.clone(), labels: Some(labels(&label)), ..Default::default() };
    site.docker.create_network(request).await?;
    let options = query::PruneNetworksOptionsBuilder::new().filters(&filter("label", &label)).build();
    ensure!(site.docker.prune_networks(Some(options)).await?.networks_deleted == Some(vec![name]));
    Ok(())
}

async fn volumes_from_create_to_removal(site: &Site) -> Outcome {
    let name = site.unique("v");
    let request =
        VolumeCreateRequest { name: Some(name.clone()), labels: Some(labels(&site.name)), ..Default::default() };
    site.docker.create_volume(request).await?;
    ensure!(site.docker.inspect_volume(&name).await?.driver == "local");
    let options = query::ListVolumesOptionsBuilder::new().filters(&filter("name", &name)).build();
    ensure!(site.docker.list_volumes(Some(options)).await?.volumes.is_some_and(|volumes| volumes.len() == 1));
    site.docker.remove_volume(&name, Some(query::RemoveVolumeOptionsBuilder::new().force(true).build())).await?;
    Ok(())
}

async fn volumes_prune_with_a_filter(site: &Site) -> Outcome {
    let (name, label) = (site.unique("v"), format!("{}-prune", site.name));
    let request = VolumeCreateRequest { name: Some(name.clone()), labels: Some(labels(&label)), ..Default::default() };
    site.docker.create_volume(request).await?;
    let options = query::PruneVolumesOptionsBuilder::new().filters(&filter("label", &label)).build();
    ensure!(site.docker.prune_volumes(Some(options)).await?.volumes_deleted == Some(vec![name]));
    Ok(())
}

/// One flow: an error or more than a minute is a failure.
async fn flow(name: &str, run: impl Future<Output = Outcome>) {
    let outcome = match tokio::time::timeout(Duration::from_secs(60), run).await {
        Ok(outcome) => outcome,
        Err(_) => Err("no end within 60 seconds".into()),
    };
    let name = name.replace('_', " ");
    match outcome {
        Ok(()) => println!("ok {name}"),
        Err(error) => {
            let why = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            println!("not ok {name}:: {}", why.chars().take(400).collect::<String>());
        }
    }
}

macro_rules! flows {
    ($site:expr, $($name:ident)*) => { $(flow(stringify!($name), $name($site)).await;)* };
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let host = text("DOCKER_HOST");
    let mut docker = Docker::connect_with_unix(&host, 60, API_DEFAULT_VERSION)?;
    if let Ok(token) = std::env::var("CLIENTS_TOKEN") {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
        bearer.set_sensitive(true);
        docker = docker.with_request_modifier(move |mut request| {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            request
        });
    }
    let site = &Site {
        docker: docker.negotiate_version().await?,
        image: text("CLIENTS_IMAGE"),
        registry: text("CLIENTS_REGISTRY"),
        name: text("CLIENTS_NAME"),
        work: text("CLIENTS_WORK").into(),
    };
    std::fs::write(site.work.join("file"), "in the file\n")?;
    let dockerfile = format!("FROM {}\nARG WHAT=default\nCOPY file /file\nRUN echo $WHAT >/what\n", site.image);
    std::fs::write(site.work.join("Dockerfile"), dockerfile)?;
    flows! { site,
        ping version info df events
        images_list images_inspect_and_history images_tag_and_remove images_build images_export_and_import
        images_export_several images_from_a_file_system images_push_and_pull
        images_push_without_credentials_and_distribution images_commit images_prune_with_a_filter images_missing
        containers_from_create_to_removal containers_logs_that_are_followed containers_list_and_inspect
        containers_attach_with_input containers_attach_to_a_terminal_and_resize containers_restart_kill_stop
        containers_pause_and_unpause containers_rename containers_update containers_top containers_stats
        exec_with_both_outputs exec_with_input exec_with_a_terminal_and_resize exec_detached
        containers_archive_both_ways containers_archive_info containers_changes_and_export
        containers_ports_and_volumes containers_wait_for_removal containers_prune_with_a_filter
        networks_from_create_to_removal networks_connect_and_disconnect networks_prune_with_a_filter
        volumes_from_create_to_removal volumes_prune_with_a_filter
    }
    Ok(())
}
