#!/bin/sh
# Fetches public cache traces into a folder, by default the repository's traces: `fetch-traces.sh [FOLDER]`.
#
# They come out of Caffeine's simulator, a Maven package that carries them as resources, so this needs mvn and unzip. The
# files keep their contents and get names that tell bench/hitratio their format. Whose they are:
#   *.lirs       LIRS: Jiang and Zhang, SIGMETRICS 2002
#   cache2k-*    the cache2k benchmarks, CC BY 4.0
#   cloudphysics CloudPhysics, by way of Caffeine's simulator (Apache-2.0)
#   scarab-recs  Scarab Research, likewise
#   corda-*      R3's Corda, likewise
#   gradle-*     Gradle's build cache, likewise
#   cdn-request  AdaptSize: Berger, Sitaraman and Harchol-Balter, NSDI 2017
# The ARC traces (OLTP, P3 and others: Megiddo and Modha, FAST 2003) are in no package that we know of. Files *.lis,
# compressed or not, that you put into the folder yourself are replayed too.
set -eu

version=3.2.4
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-$here/../../traces}
for tool in mvn unzip; do
	command -v "$tool" >/dev/null || { echo "fetch-traces.sh: $tool is needed" >&2; exit 1; }
done
mkdir -p "$folder"
folder=$(cd -- "$folder" && pwd)
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mvn --quiet --batch-mode -Dstyle.color=never dependency:copy -Dartifact="com.github.ben-manes.caffeine:simulator:$version" \
	-DoutputDirectory="$temporary"
unzip -q -o "$temporary/simulator-$version.jar" 'com/github/benmanes/caffeine/cache/simulator/parser/*' \
	-x '*.class' -d "$temporary"
cd "$temporary/com/github/benmanes/caffeine/cache/simulator/parser"

for trace in 2_pools cpp cs gli loop multi1 multi2 multi3 ps scan sprite zigzag; do
	mv "lirs/$trace.trace.gz" "$folder/$trace.lirs.gz"
done
for trace in orm-busy orm-night web07 web12; do
	mv "cache2k/$trace.trace.xz" "$folder/cache2k-$trace.be32.xz"
done
mv cloud_physics/w106.trace.xz "$folder/cloudphysics-w106.be32.xz"
mv scarab/scarab-recs.trace.xz "$folder/scarab-recs.be64.xz"
mv corda/trace_vaultservice.gz "$folder/corda-vaultservice.be64.gz"
mv corda/trace_vaultservice_large.gz "$folder/corda-vaultservice-large.be64.gz"
mv gradle/build-cache.xz "$folder/gradle-build-cache.txt.xz"
mv adapt_size/request.trace.xz "$folder/cdn-request.sizes.xz"
echo "Traces are in $folder:"
ls "$folder"
