# Sourced by `run` and `differential/run`: finds a Python for the released Karbor, and installs Karbor into a folder.
# shellcheck shell=bash

# Karbor's dependencies have no release in common for later Pythons.
find_python() {
    local candidate
    for candidate in ${KARBOR_LAB_PYTHON:+"$KARBOR_LAB_PYTHON"} \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.8.*/bin/python3.8 \
        /usr/bin/python3.8 /usr/local/bin/python3.8; do
        [[ -x $candidate ]] || continue
        [[ $("$candidate" -c 'import platform; print(platform.python_implementation(), *platform.python_version_tuple()[:2])') == "CPython 3 8" ]] || continue
        printf '%s\n' "$candidate"
        return
    done
    return 1
}

# install_karbor PYTHON FOLDER REQUIREMENTS...: into FOLDER/venv, unless just that is there. Later files outweigh
# earlier ones. Two runs may share the folder, but not install into it at once.
install_karbor() {
    local python=$1 folder=$2 pip wanted file
    shift 2
    mkdir -p "$folder"
    exec 9> "$folder/lock"
    flock 9
    wanted=$(cat "$@" | sha256sum | cut -d' ' -f1)
    if [[ ! -f $folder/installed || $(<"$folder/installed") != "$wanted" ]]; then
        echo "installing Karbor and its client into $folder"
        rm -rf "$folder/venv" "$folder/installed"
        "$python" -m venv "$folder/venv"
        pip=("$folder/venv/bin/python" -m pip --disable-pip-version-check install --quiet)
        # The last releases that can still build source packages of that age.
        "${pip[@]}" 'pip==23.3.2' 'setuptools==57.5.0' 'wheel==0.41.3'
        for file in "$@"; do
            "${pip[@]}" --no-build-isolation --no-deps --requirement "$file"
        done
        printf '%s\n' "$wanted" > "$folder/installed"
    fi
    exec 9>&-
}

skip_without_python() {
    echo "SKIPPED: no CPython 3.8 found, and the released Karbor runs on no later one; name one in KARBOR_LAB_PYTHON"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
