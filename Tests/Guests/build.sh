#!/bin/bash
# Builds the guests of the tests: Debian's own kernels, unpacked, each with an initramfs of busybox, the
# drivers of network cards, and the peer program (peer.c). Prints the folder that they lie in:
#
#   x86/vmlinux, x86/initrd       the full kernel: virtio-net, e1000, rtl8139 and others
#   arm64/Image, arm64/initrd     the cloud kernel for aarch64 (no peer program)
#   uml/linux, uml/initrd         user-mode Linux
#
#   Tests/Guests/build.sh [FOLDER]
#
# The packages come from the machine's own apt sources, by way of lists of this script's own (so that a
# foreign architecture can be had without telling dpkg of it), and stay in FOLDER/packages;
# nothing is installed and nothing outside FOLDER (.build/guests) is written. The result is kept
# under a name made of the packages and of these scripts; builders exclude each other.
#
# Exit code 77: it cannot be done here, and standard error says why (no network, a program missing).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-$here/../../.build/guests}
mkdir -p "$folder/packages"
folder=$(cd "$folder" && pwd)

cannot() {
    echo "$*" >&2
    exit 77
}
[ "$(uname -m)" = x86_64 ] || cannot "guests are built on x86_64 only"
for program in apt-get:apt dpkg-deb:dpkg flock:util-linux cpio:cpio xz:xz-utils lz4:lz4 \
    zstd:zstd cc:gcc; do
    command -v "${program%%:*}" >/dev/null ||
        cannot "no program '${program%%:*}' (apt-get install ${program##*:})"
done

exec 9>"$folder/lock"
flock 9

# -- packages -----------------------------------------------------------------------------------

# apt with lists of its own, for two architectures, as any user; without the machine's hooks, which
# tidy up the machine's own folders.
private() {
    local command=$1
    shift
    "$command" -qq -c "$folder/apt/apt.conf" "$@"
}

configuration() {
    cat <<EOF
Dir::State "$folder/apt";
Dir::State::status "$folder/apt/status";
Dir::State::lists "$folder/apt/lists";
Dir::Cache "$folder/apt/cache";
APT::Sandbox::User "$(id -un)";
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures { "amd64"; "arm64"; };
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
EOF
}

# The package that a package without content stands for, in the version that is current.
real_package() {
    private apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

download() {
    local kernel arm_kernel
    rm -rf "$folder/apt"
    mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
    touch "$folder/apt/status"
    configuration >"$folder/apt/apt.conf"
    private apt-get update >&2 || return 1
    kernel=$(real_package linux-image-amd64:amd64)
    arm_kernel=$(real_package linux-image-cloud-arm64:arm64)
    [ -n "$kernel" ] && [ -n "$arm_kernel" ] || return 1
    rm -rf "$folder/incoming"
    mkdir "$folder/incoming"
    (cd "$folder/incoming" && private apt-get download "${kernel%:*}:amd64" \
        "${arm_kernel%:*}:arm64" busybox-static:amd64 busybox-static:arm64 user-mode-linux) >&2 ||
        return 1
    rm -rf "$folder/apt" "$folder/packages"
    mv "$folder/incoming" "$folder/packages"
    touch "$folder/packages/complete"
}

if [ ! -e "$folder/packages/complete" ]; then
    download || cannot "the packages of the guests cannot be downloaded (apt-get's words are above)"
fi
package() { echo "$folder"/packages/$1; }

key=$({
    ls "$folder/packages"
    cat "$here"/build.sh "$here"/init "$here"/peer.c
} | sha256sum | cut -c 1-16)
result=$folder/$key
if [ -d "$result" ]; then
    echo "$result"
    exit 0
fi

# -- images -------------------------------------------------------------------------------------

work=$folder/work
rm -rf "$work"
mkdir "$work"

# unpack PACKAGE PATTERN…: those files of a package, into the working folder.
unpack() {
    local archive=$1
    shift
    # The rest is read as well: tar leaves at the archive's end, and what pads it would break the pipe.
    dpkg-deb --fsys-tarfile "$archive" |
        { tar -x -C "$work" --wildcards "$@" && cat >/dev/null; }
}

# The names of modules as patterns for unpack; newer kernels have them compressed.
modules() { printf './*/%s.ko*\n' "$@"; }

# initrd IMAGE BUSYBOX-PACKAGE: a root with busybox, init and the modules that lie in the working folder.
# Not compressed: emulated, unpacking it takes longer than reading it.
initrd() {
    local root=$work/root
    mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules}
    unpack "$2" ./bin/busybox
    mv "$work/bin/busybox" "$root/bin/"
    find "$work" -name '*.ko.xz' -exec xz -d {} +
    find "$work" -path "$root" -prune -o -name '*.ko' -exec mv -t "$root/modules" {} +
    install -m 755 "$here/init" "$root/init"
    [ "$1" = arm64 ] || install -m 755 "$work/peer" "$root/bin/peer"
    (cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$work/$1/initrd"
    rm -rf "$root"
}

# vmlinux BZIMAGE: the kernel inside, as ELF, so that the guest need not decompress it.
# (Documentation/arch/x86/boot.rst: setup_sects, payload_offset and payload_length.)
vmlinux() {
    number() { od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }
    local offset length
    offset=$((($(number "$1" 0x1f1 1) + 1) * 512 + $(number "$1" 0x248 4)))
    # The last four bytes are the size.
    length=$(($(number "$1" 0x24c 4) - 4))
    payload() {
        dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip=$offset count=$length status=none
    }
    case $(number "$1" $offset 2) in
        14333) payload "$1" | xz -dc ;;
        8450) payload "$1" | lz4 -dc ;;
        46376) payload "$1" | zstd -dcq ;;
        35615) payload "$1" | gzip -dc ;;
        *) return 1 ;;
    esac
}

virtio="virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover
    net_failover virtio_net"
mkdir "$work/x86" "$work/arm64" "$work/uml"
cc -static -O2 -Wall -Werror -o "$work/peer" "$here/peer.c"

# shellcheck disable=SC2046,SC2086 # words on purpose
unpack "$(package 'linux-image-*_amd64.deb')" './boot/vmlinuz-*' \
    $(modules $virtio e1000 mii 8139cp)
vmlinux "$work"/boot/vmlinuz-* >"$work/x86/vmlinux" || {
    echo "no kernel found in $(ls "$work/boot")" >&2
    exit 1
}
rm -r "$work/boot"
initrd x86 "$(package 'busybox-static_*_amd64.deb')"

# shellcheck disable=SC2046,SC2086
unpack "$(package 'linux-image-*_arm64.deb')" './boot/vmlinuz-*' $(modules $virtio)
mv "$work"/boot/vmlinuz-* "$work/arm64/Image"
initrd arm64 "$(package 'busybox-static_*_arm64.deb')"

# shellcheck disable=SC2046
unpack "$(package 'user-mode-linux_*.deb')" ./usr/bin/linux.uml $(modules crc-ccitt ipv6)
mv "$work/usr/bin/linux.uml" "$work/uml/linux"
initrd uml "$(package 'busybox-static_*_amd64.deb')"

mkdir "$work/result"
mv "$work/x86" "$work/arm64" "$work/uml" "$work/result/"
find "$folder" -mindepth 1 -maxdepth 1 -type d ! -name packages ! -name work -exec rm -rf {} +
mv "$work/result" "$result"
rm -rf "$work"
echo "$result"
