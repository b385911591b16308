#!/bin/sh
# Builds a real kube-apiserver from Debian's source, and puts Debian's etcd beside it, in build/kubernetes. Needs no root.
#
# Debian 12's source package is Kubernetes 1.20.5 or so: old, and the real server all the same (storage, versions, conflicts,
# watches, admission of custom resources by schema). About 5 minutes on 2 cores, 3 GB of disk while it builds.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
into="$here/build/kubernetes"
work="$into/work"
if [ -x "$into/kube-apiserver" ] && [ -x "$into/etcd" ]; then
  echo "kube-apiserver and etcd are in $into"
  exit 0
fi
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/root"

# An apt of its own: the sources of this release, and no change to the machine's.
release=bookworm
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian %s main\ndeb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian %s main\n' \
  "$release" "$release" > "$work/apt/sources.list"
apt_() {
  command=$1
  shift
  "$command" -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/apt/lists" -o Dir::Cache::archives="$work/apt/archives" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User= "$@"
}
echo "Reading Debian's package lists"
apt_ apt-get update -qq
cd "$work"
echo "Fetching the source, Go 1.19, etcd, and rsync, which the build wants"
[ -d source ] || { apt_ apt-get source -qq kubernetes > /dev/null && mv kubernetes-*/ source; }
(cd apt && apt_ apt-get download -qq golang-1.19-go golang-1.19-src etcd-server \
  golang-github-modern-go-reflect2-dev rsync libpopt0 libxxhash0 libzstd1 liblz4-1)
for package in apt/*.deb; do dpkg-deb -x "$package" root; done

# The vendored reflect2 does not build with Go 1.19; Debian's own copy does.
reflect2=source/vendor/github.com/modern-go/reflect2
rm -rf "$reflect2"
cp -r root/usr/share/gocode/src/github.com/modern-go/reflect2 "$reflect2"

echo "Building kube-apiserver, which takes some minutes"
cd source
# What a build that broke off left would pass for finished.
rm -rf _output
# Offline: everything is vendored. The project's own make generates code first, in Go's older mode without modules.
libraries=$(dirname "$(find "$work/root" -name 'libpopt.so.0')")
PATH="$work/root/usr/lib/go-1.19/bin:$work/root/usr/bin:$PATH" LD_LIBRARY_PATH="$libraries" GOROOT="$work/root/usr/lib/go-1.19" GOCACHE="$work/cache" GOPROXY=off \
  GOFLAGS= CGO_ENABLED=0 KUBE_GIT_TREE_STATE=clean KUBE_GIT_VERSION=v1.20.0 KUBE_GIT_COMMIT=debian \
  nice -n 15 make --no-print-directory WHAT=cmd/kube-apiserver > "$work/make.log" 2>&1 || { tail -30 "$work/make.log"; exit 1; }
cp _output/bin/kube-apiserver "$into/kube-apiserver"
cp "$work/root/usr/bin/etcd" "$into/etcd"
chmod -R u+w "$work" && rm -rf "$work"
echo "kube-apiserver and etcd are in $into"
