"""The build options that have no field of their own, one row for each, and those that are refused.

Owns which builders have an option, whether it counts in the image's identity, and the sentence of the
reference about it. The list is closed: what is in neither table is unknown. Refuses to know how a builder
spells an option, which is the engines' table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field

from planner.immutable import frozen
from planner.settings.option_values import (
    ADDRESSES,
    CAPABILITIES,
    CPUS,
    FLAG,
    HOSTS,
    LIMITS,
    Shape,
    choice,
    size,
    whole,
    words,
    written,
)

__all__ = ["BUILDERS", "CONTAINER_LIMITS", "FIELD_SPELLINGS", "OPTIONS", "REFUSED", "BuildOption"]

# Every builder, and what it is called where people read it.
BUILDERS: Final[Mapping[str, str]] = {
    "buildkit": "Docker's BuildKit",
    "classic": "Docker's classic builder",
    "podman": "Podman",
}


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


@frozen
class BuildOption:
    """One build option: all that the planner, the engines and the reference have to know of it.

    `builders` have it; `only` says so of single values that fewer of them take. `counts` says whether the
    image's identity has it. `plain` is the value that asks for nothing, and `example` one that each of
    the builders takes. `also` holds its other spellings; dashes for underscores go without saying.
    """

    name: str
    shape: Shape
    builders: frozenset[str] = field(converter=_names)
    doc: str
    counts: bool = field(kw_only=True)
    example: Any = field(kw_only=True)
    plain: Any = field(default=None, kw_only=True)
    also: tuple[str, ...] = field(default=(), kw_only=True)
    only: Mapping[str, frozenset[str]] = field(factory=dict, kw_only=True)

    def takers(self, value: object) -> frozenset[str]:
        """The builders that have the option with this value."""
        return self.only.get(value, self.builders) if isinstance(value, str) else self.builders


# What changes what commands see and may do while an image is built counts. What only says how long that
# takes, and what may be used for it, does not: as for the size of /dev/shm.
_ROWS: Final = (
    BuildOption(
        "network", choice("bridge", "default", "host", "none"), "buildkit classic podman",
        "The network of the commands that build the image: `default`, `host` or `none`; "
        "`bridge` is the classic builder's alone.",
        counts=True, example="none", plain="default", also=("network_mode", "networkmode"),
        only={"bridge": _names("classic")},
    ),
    BuildOption(
        "add_host", HOSTS, "buildkit classic podman",
        "Names of hosts with their addresses, beside those of the network.",
        counts=True, example=("ship.example:10.1.2.3",), plain=(),
        also=("add_hosts", "extra_hosts", "extrahosts"),
    ),
    BuildOption(
        "dns", ADDRESSES, "podman",
        "Addresses of name servers, in their order. Not with `network = \"none\"`.",
        counts=True, example=("10.1.2.3",), plain=(),
    ),
    BuildOption(
        "dns_option", words(r"[a-z0-9-]+(?::[0-9]+)?", "an option of a resolver", "ndots:2"), "podman",
        "Options of the resolver, as in resolv.conf.",
        counts=True, example=("ndots:2",), plain=(), also=("dns_opt", "dns_options"),
    ),
    BuildOption(
        "dns_search", words(r"[A-Za-z0-9_.-]+", "a domain", "example.com", ordered=True), "podman",
        "Domains to look names up in, in their order.",
        counts=True, example=("example.com",), plain=(),
    ),
    BuildOption(
        "cap_add", CAPABILITIES, "podman", "Capabilities that commands have besides the usual ones.",
        counts=True, example=("CAP_NET_ADMIN",), plain=(),
    ),
    BuildOption(
        "cap_drop", CAPABILITIES, "podman", "Capabilities that commands do without.",
        counts=True, example=("CAP_MKNOD",), plain=(),
    ),
    BuildOption(
        "isolation", choice("chroot", "oci", "rootless"), "podman",
        "How commands are kept from the machine: `chroot`, `oci` or `rootless`.",
        counts=True, example="chroot",
    ),
    BuildOption(
        "security_opt",
        words(
            r"seccomp=unconfined|apparmor=unconfined|label=(?:disable|(?:user|role|type|level):[A-Za-z0-9_.:,-]+)",
            "a security option without a file of the machine", "seccomp=unconfined",
        ),
        "podman",
        "`seccomp=unconfined`, `apparmor=unconfined` or `label=…`: no profile that is a file of the machine.",
        counts=True, example=("label=disable",), plain=(), also=("security_opts",),
    ),
    BuildOption(
        "userns", choice("container", "host"), "podman",
        "The user namespace of commands: their own (`container`), or the machine's (`host`).",
        counts=True, example="host", also=("userns_mode",),
    ),
    BuildOption(
        "cgroup_parent", written(r"[A-Za-z0-9/][A-Za-z0-9_./-]*", "a control group", "/builds"),
        "buildkit podman",
        "The control group that commands run below.",
        counts=False, example="/stowplan-test", also=("cgroupparent",),
    ),
    BuildOption(
        "cpu_period", whole(1_000, 1_000_000), "podman", "The scheduler's period, in microseconds.",
        counts=False, example=100_000, also=("cpuperiod",),
    ),
    BuildOption(
        "cpu_quota", whole(1_000), "podman", "The time of the processor in each period, in microseconds.",
        counts=False, example=50_000, also=("cpuquota",),
    ),
    BuildOption(
        "cpu_shares", whole(2, 262_144), "classic podman", "The weight of commands against what else runs.",
        counts=False, example=512, also=("cpushares",),
    ),
    BuildOption(
        "cpuset_cpus", CPUS, "classic podman", "The processors that commands may run on.",
        counts=False, example="0", also=("cpusetcpus",),
    ),
    BuildOption(
        "cpuset_mems", CPUS, "podman", "The memory nodes that commands may use.",
        counts=False, example="0", also=("cpusetmems",),
    ),
    BuildOption(
        "memory", size(6 << 20), "classic podman", "The memory that commands may use, at least `6m`.",
        counts=False, example=1 << 30, also=("mem_limit",),
    ),
    BuildOption(
        "memory_swap", size(6 << 20, also=-1), "classic podman",
        "Memory and swap together; `-1` is as much swap as there is. It needs `memory`.",
        counts=False, example=2 << 30, also=("memswap", "memswap_limit", "memoryswap"),
    ),
    BuildOption(
        "ulimit", LIMITS, "buildkit podman",
        "Limits of processes. One number is both the soft and the hard limit.",
        counts=False, example=("nofile=1024:2048",), plain=(), also=("ulimits",),
    ),
    BuildOption(
        "force_rm", FLAG, "buildkit classic podman",
        "Remove what a failed build leaves, too. BuildKit leaves nothing either way.",
        counts=False, example=False, plain=True, also=("forcerm",),
    ),
    BuildOption(
        "http_proxy", FLAG, "podman", "Let commands use the proxies that the machine's variables name.",
        counts=False, example=False, plain=True,
    ),
    BuildOption(
        "use_config_proxy", FLAG, "classic",
        "Let commands use the proxies that docker's configuration names.",
        counts=False, example=False, plain=True,
    ),
    BuildOption(
        "no_cache_filter", words(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a build stage", "runtime"), "buildkit",
        "Stages to build again, without the cache.",
        counts=False, example=("runtime",), plain=(),
    ),
    BuildOption(
        "cache_ttl", written(r"(?:[0-9]+(?:ms|s|m|h))+", "a span of time", "24h"), "podman",
        "How old a layer of `cache_from` may be.",
        counts=False, example="24h",
    ),
    BuildOption(
        "jobs", whole(0), "podman", "How many stages are built in parallel; 0 means no limit.",
        counts=False, example=2, plain=1,
    ),
    BuildOption(
        "retry", whole(0), "podman", "How often a pull is tried again.",
        counts=False, example=1,
    ),
    BuildOption(
        "retry_delay", written(r"(?:[0-9]+(?:ms|s|m|h))+", "a span of time", "2s"), "podman",
        "How long to wait before a pull is tried again.",
        counts=False, example="1s",
    ),
)  # fmt: skip
OPTIONS: Final[Mapping[str, BuildOption]] = {row.name: row for row in _ROWS}

# What may be in the table that the SDK takes limits in, `container_limits`.
CONTAINER_LIMITS: Final = _names("memory memory_swap cpu_shares cpuset_cpus")
# The SDK's spellings of the options that have a field.
FIELD_SPELLINGS: Final[Mapping[str, str]] = {
    "buildargs": "build_args", "cachefrom": "cache_from", "nocache": "no_cache", "shmsize": "shm_size",
}  # fmt: skip

# Options that some builder has and a plan cannot: names, what is wrong with them, and what to do.
_REFUSED: Final = (
    ((
        "context custom_context dockerfile encoding f file fileobj format gzip iidfile load metadata_file o "
        "output path progress push quiet q t tag timestamp decode logfile logsplit"
     ),
     "stowplan sets this option itself", "leave it out"),
    ("call check help h print version", "builds nothing", "leave it out"),
    ("build_context volume v hooks_dir device",
     "reads what only the machine that builds has, which no plan can see",
     "put what is needed into the project or into the parent image"),
    ("secret", "has a setting of its own", "use secrets, beside build_config"),
    ("ssh", "does not exist: there is no agent in a build", "use secrets, beside build_config, for the key"),
    ("env unsetenv", "changes variables of the image, unseen by its plan",
     "use environment or runtime_environment of the settings"),
    ("build_arg", "has a field of its own", "use build_args = { NAME = \"value\" }"),
    ("label annotation", "describes the image, unseen by its plan", "use labels = { NAME = \"value\" }"),
    ("from", "has a setting of its own", "use parent_image"),
    ("ignorefile", "has a setting of its own", "use dockerignore, beside build_options"),
    ("container_limits", "is a table of several options",
     "write memory, memory_swap, cpu_shares and cpuset_cpus"),
    ("all_platforms arch os variant os_feature os_version", "an image has one platform",
     "use platform, like \"linux/arm64\""),
    ("squash squash_all layers", "makes one layer of all: how stowplan's layers are told apart would be lost",
     "leave it out: each setting makes one layer"),
    ("cache_to", "writes somewhere else than to the image", "push the image, and name it in cache_from"),
    ("attest provenance sbom sign_by", "makes more than the image that is planned", "leave it out"),
    ("manifest", "gives the image another name", "use image_tag or target_repository"),
    ("omit_history identity_label", "leaves out what stowplan tells images by", "leave it out"),
    ("builder server_config root detach debug", "says which builder of this machine works",
     "set BUILDX_BUILDER, or run `docker buildx use`"),
    ("allow", "is for instructions that stowplan does not write", "leave it out"),
    ("authfile cert_dir creds decryption_key tls_verify", "is how a machine reaches a registry",
     "run `docker login` or `podman login`, and set the engine up for the registry"),
    ("cgroupns ipc pid uts", "shares a namespace of the machine that builds, which no plan can see",
     "leave it out"),
    ("userns_gid_map userns_gid_map_group userns_uid_map userns_uid_map_user",
     "maps the users of the machine that builds", "use userns, or leave it out"),
    ("no_hosts", "takes away the hosts that add_host names", "leave it out"),
    ("cpp_flag runtime_flag stdin timeout", "has nothing to do in stowplan's builds", "leave it out"),
    ("skip_unused_stages", "only a custom Dockerfile has stages", "leave it out"),
    ("compress disable_compression disable_content_trust", "has no effect on what is built", "leave it out"),
)  # fmt: skip
REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    name: (found, fix) for names, found, fix in _REFUSED for name in names.split()
}
