#!/bin/sh
# Builds a tiny OCI image out of the static busybox, as a tar that `ctr images import` takes.
# Usage: make_image.sh FOLDER NAME: writes FOLDER/image.tar, which holds one image called NAME.
# SPDX-License-Identifier: Apache-2.0
set -eu
work=$1 name=$2
busybox=$(command -v busybox)
rm -rf "$work/root" "$work/oci"
mkdir -p "$work/root/bin" "$work/root/etc" "$work/root/tmp" "$work/oci/blobs/sha256"
cp "$busybox" "$work/root/bin/busybox"
for tool in sh cat echo sleep id env kill ls stty trap test true false yes head wc hostname; do
  ln -s busybox "$work/root/bin/$tool"
done
printf 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001:Alice:/:/bin/sh\n' > "$work/root/etc/passwd"
printf 'root:x:0:\nalice:x:1001:\nfriends:x:2000:alice\n' > "$work/root/etc/group"
printf 'not a program\n' > "$work/root/etc/plain"
tar -C "$work/root" --owner=0 --group=0 --mtime=@0 --sort=name -cf "$work/layer.tar" .
diff=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
gzip -nf "$work/layer.tar"

put() { # FILE -> prints its digest, moves it among the blobs
  sum=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$work/oci/blobs/sha256/$sum"
  echo "$sum"
}
layer_size=$(wc -c < "$work/layer.tar.gz")
layer=$(put "$work/layer.tar.gz")
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
cat > "$work/config" <<JSON
{"architecture":"$arch","os":"linux","created":"2020-01-01T00:00:00Z",
 "config":{"Env":["FROM_IMAGE=yes"],"Cmd":["sh","-c","echo from the image"],"StopSignal":"SIGTERM"},
 "rootfs":{"type":"layers","diff_ids":["sha256:$diff"]}}
JSON
config_size=$(wc -c < "$work/config")
config=$(put "$work/config")
cat > "$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$config_size},
 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:$layer","size":$layer_size}]}
JSON
manifest_size=$(wc -c < "$work/manifest")
manifest=$(put "$work/manifest")
cat > "$work/oci/index.json" <<JSON
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "digest":"sha256:$manifest","size":$manifest_size,"annotations":{"io.containerd.image.name":"$name"}}]}
JSON
echo '{"imageLayoutVersion":"1.0.0"}' > "$work/oci/oci-layout"
tar -C "$work/oci" -cf "$work/image.tar" .
