#!/bin/sh
# Ensures what Tapeline needs from the system: `python` (3.11 to 3.13, with venv), `java` (Java 17+ and Maven, for the
# local Kafka broker), `chromium` (for the browser sessions of Barchart) and `prometheus` (for the tests of metrics and
# alert rules). On Debian and Ubuntu as root it installs what is missing; elsewhere it prints the command.
# Usage: sh deploy/install-system-packages.sh [python] [java] [chromium] [prometheus]
# python and java when none is named
set -eu

python=${PYTHON:-python3}
apt_packages='' brew_packages='' missing=''

need() { # what it is, its packages for apt, its packages for brew
	missing="${missing:+$missing, }$1"
	apt_packages="$apt_packages $2"
	brew_packages="$brew_packages $3"
}

check_python() {
	if ! command -v "$python" >/dev/null; then
		need "Python 3.11 with venv" "python3 python3-venv" python@3.13
	elif ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
		echo "Tapeline runs on Python 3.11 to 3.13 and $python is $("$python" -V); name another one: make PYTHON=python3.13" >&2
		exit 2
	elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
		need "Python's venv" "$(basename "$python")-venv" python@3.13
	fi
}

java_major() {
	"${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p'
}

check_java() {
	major=$(java_major)
	if [ "${major:-0}" -lt 17 ]; then
		if [ -n "${JAVA_HOME:-}" ]; then
			echo "Kafka needs Java 17 or newer and JAVA_HOME=$JAVA_HOME has ${major:-none}; unset it or let it name a newer one" >&2
			exit 2
		fi
		need "Java 17" @java openjdk@21
	fi
	command -v mvn >/dev/null || need Maven maven maven
}

check_chromium() { # what Ubuntu has at its place is a program too, which does not run
	for program in "${TAPELINE_BARCHART_CHROMIUM_PATH:-chromium}" chromium chromium-browser google-chrome \
		google-chrome-stable "${PLAYWRIGHT_BROWSERS_PATH:-${HOME:-}/.cache/ms-playwright}"/chromium-*/chrome-linux*/chrome; do
		! "$program" --version >/dev/null 2>&1 || return 0
	done
	need Chromium @chromium chromium
}

check_prometheus() {
	if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
		need Prometheus prometheus prometheus
	fi
}

has_package() {
	apt-cache show "$1" 2>/dev/null | grep -q '^Package:'
}

newest_java() { # releases of Debian and Ubuntu each have some of these
	for release in 25 21 17; do
		if has_package "openjdk-$release-jre-headless"; then
			echo "openjdk-$release-jre-headless"
			return
		fi
	done
	echo openjdk-17-jre-headless
}

[ $# -gt 0 ] || set -- python java
for part in "$@"; do
	case $part in
	python) check_python ;;
	java) check_java ;;
	chromium) check_chromium ;;
	prometheus) check_prometheus ;;
	*)
		echo "unknown part $part; there are python, java, chromium and prometheus" >&2
		exit 2
		;;
	esac
done
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null; then
	root=false
	[ "$(id -u)" -ne 0 ] || root=true
	if $root; then
		echo "installing $missing with apt-get"
		apt-get update -qq
	fi
	packages=
	for package in $apt_packages; do
		case $package in
		@java) package=$(newest_java) ;;
		@chromium)
			if ! has_package chromium; then
				echo "missing: Chromium; here it is only a snap, if anything, which no program can drive: install Google" \
					"Chrome, or run: .venv/bin/playwright install --with-deps chromium" >&2
				exit 2
			fi
			package="chromium fonts-liberation"
			;;
		esac
		packages="$packages $package"
	done
	if $root; then
		# shellcheck disable=SC2086 # a list of words
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
		exit 0
	fi
	command="sudo apt-get install -y --no-install-recommends$packages"
else
	command="brew install$brew_packages"
fi
echo "missing: $missing; this installs it: $command" >&2
exit 2
