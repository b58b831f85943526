# shellcheck shell=bash
# Shared by the scripts: where the project is, and one line for each step.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs

# step NAME SENTENCE COMMAND...: runs it, output in build/logs/NAME.log; shows it when it fails.
step() {
	local name=$1 sentence=$2 start=$SECONDS status=0
	shift 2
	mkdir -p "$logs"
	printf '%s ... ' "$sentence"
	"$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
	if ((status)); then
		echo "failed (status $status)"
		echo "--- the end of ${logs#"$root/"}/$name.log:" >&2
		tail -n 60 "$logs/$name.log" >&2
		return "$status"
	fi
	echo "done ($((SECONDS - start)) s)"
}

# build PRESET: configures and builds it; quick when nothing has changed.
build() {
	local preset=$1
	if [[ ! -f $root/build/$preset/build.ninja ]]; then
		step "configure-$preset" "Configuring $preset" cmake --preset "$preset" -S "$root"
	fi
	step "build-$preset" "Building $preset" \
		env -C "$root" cmake --build --preset "$preset"
}
