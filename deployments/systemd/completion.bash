# bash completion for logtrain
_logtrain()
{
    local cur prev words cword # shellcheck disable=SC2034
    _init_completion || return
    case $prev in
    --routes | --kube-config)
        _filedir
        return
        ;;
    ls | verify)
        _filedir -d
        return
        ;;
    state)
        mapfile -t COMPREPLY < <(compgen -W 'ls verify' -- "$cur")
        return
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W 'schema state drains explain --drain --routes --kube-config --check --limits --help --version' -- "$cur")
} && complete -F _logtrain logtrain
