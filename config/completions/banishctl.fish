# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_banishctl_global_optspecs
    string join \n json no-pager h/help V/version
end

function __fish_banishctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_banishctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_banishctl_using_subcommand
    set -l cmd (__fish_banishctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c banishctl -n "__fish_banishctl_needs_command" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_needs_command" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_needs_command" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_needs_command" -s V -l version -d 'Print version'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "status" -d 'Show the daemon and its jails, or one jail'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "jails" -d 'Name the jails, one a line'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "bans" -d 'List bans'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "why" -d 'Show why an address is banned'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "ban" -d 'Ban an address or a prefix'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "unban" -d 'Lift bans: of an address in one jail or in all, or all of them'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "reload" -d 'Read the configuration again, and wait until it is in force'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "start" -d 'Let a stopped jail run again'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "stop" -d 'Stop a jail and lift its bans, until it is started or banishd restarts'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "import" -d 'Take over the bans of fail2ban, and how often it banned whom'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "monitor" -d 'Follow what happens'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "verify" -d 'Check the configuration as the service would read it, without running it'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "config" -d 'Look at the configuration, without the daemon'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "filter" -d 'Try filters, without the daemon'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "test" -d 'Try a log message on a jail\'s filter'
complete -c banishctl -n "__fish_banishctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c banishctl -n "__fish_banishctl_using_subcommand status" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand status" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand jails" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand jails" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand jails" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand bans" -l of -d 'Only those that cover this address or lie within this prefix' -r
complete -c banishctl -n "__fish_banishctl_using_subcommand bans" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand bans" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand bans" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand why" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand why" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand why" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand ban" -l for -d 'For this long: 600, 10min, "1h 30min", forever (default: as long as the jail does)' -r
complete -c banishctl -n "__fish_banishctl_using_subcommand ban" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand ban" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand ban" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand unban" -l all -d 'Lift every ban, of the jail if one is named'
complete -c banishctl -n "__fish_banishctl_using_subcommand unban" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand unban" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand unban" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand reload" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand reload" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand reload" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand start" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand start" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand start" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand stop" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand stop" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand stop" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand import" -l dry-run -d 'Only say what would be taken over'
complete -c banishctl -n "__fish_banishctl_using_subcommand import" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand import" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand import" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand monitor" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand monitor" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand monitor" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand verify" -l config-dir -d 'The configuration, like /etc/banishd or /etc/fail2ban (default: the service\'s)' -r -f -a "(__fish_complete_directories)"
complete -c banishctl -n "__fish_banishctl_using_subcommand verify" -l vendor-dir -d 'The shipped configuration' -r -f -a "(__fish_complete_directories)"
complete -c banishctl -n "__fish_banishctl_using_subcommand verify" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand verify" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand verify" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and not __fish_seen_subcommand_from dump help" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and not __fish_seen_subcommand_from dump help" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and not __fish_seen_subcommand_from dump help" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and not __fish_seen_subcommand_from dump help" -f -a "dump" -d 'Show what every option amounts to, and the file and line that set it'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and not __fish_seen_subcommand_from dump help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and __fish_seen_subcommand_from dump" -l config-dir -d 'The configuration, like /etc/banishd or /etc/fail2ban (default: the service\'s)' -r -f -a "(__fish_complete_directories)"
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and __fish_seen_subcommand_from dump" -l vendor-dir -d 'The shipped configuration' -r -f -a "(__fish_complete_directories)"
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and __fish_seen_subcommand_from dump" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and __fish_seen_subcommand_from dump" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and __fish_seen_subcommand_from dump" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "dump" -d 'Show what every option amounts to, and the file and line that set it'
complete -c banishctl -n "__fish_banishctl_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and not __fish_seen_subcommand_from test conformance help" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and not __fish_seen_subcommand_from test conformance help" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and not __fish_seen_subcommand_from test conformance help" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and not __fish_seen_subcommand_from test conformance help" -f -a "test" -d 'Try a filter on log lines'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and not __fish_seen_subcommand_from test conformance help" -f -a "conformance" -d 'Put filters to annotated log lines'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and not __fish_seen_subcommand_from test conformance help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l ignore -d 'Ignore lines that match this, too' -r
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l date-pattern -d 'Look for dates like this' -r
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l max-lines -d 'Match so many lines together' -r
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l time-zone -d 'The zone of dates that name none, such as Europe/Berlin or UTC' -r
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l use-dns -d 'What becomes of host names' -r -f -a "yes\t''
warn\t''
no\t''
raw\t''"
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l encoding -d 'How files are encoded (default: utf-8)' -r
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l journal-match -d 'Which entries of the journal to read (default: the filter\'s, or all)' -r
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l show -d 'Show all that are matched, noted, ignored or missed (default: at most 20 of each)' -r -f -a "matched\t'A failure'
noted\t'Part of a connection, and no failure or not yet'
ignored\t'It would be something, but `ignoreregex` matches'
missed\t'Nothing'"
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l config-dir -d 'The configuration, like /etc/banishd or /etc/fail2ban (default: the service\'s)' -r -f -a "(__fish_complete_directories)"
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l vendor-dir -d 'The shipped configuration' -r -f -a "(__fish_complete_directories)"
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l jail -d 'Take FILTER for the name of a jail'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from conformance" -l filters -d 'A configuration directory with a filter.d in it, such as /etc/fail2ban; may be repeated' -r -F
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from conformance" -l logs -d 'The samples: a file for each filter, of the same name' -r -F
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from conformance" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from conformance" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from conformance" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from help" -f -a "test" -d 'Try a filter on log lines'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from help" -f -a "conformance" -d 'Put filters to annotated log lines'
complete -c banishctl -n "__fish_banishctl_using_subcommand filter; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c banishctl -n "__fish_banishctl_using_subcommand test" -l json -d 'Print JSON, one object a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand test" -l no-pager -d 'Do not show long text in a pager'
complete -c banishctl -n "__fish_banishctl_using_subcommand test" -s h -l help -d 'Print help'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "status" -d 'Show the daemon and its jails, or one jail'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "jails" -d 'Name the jails, one a line'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "bans" -d 'List bans'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "why" -d 'Show why an address is banned'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "ban" -d 'Ban an address or a prefix'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "unban" -d 'Lift bans: of an address in one jail or in all, or all of them'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "reload" -d 'Read the configuration again, and wait until it is in force'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "start" -d 'Let a stopped jail run again'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "stop" -d 'Stop a jail and lift its bans, until it is started or banishd restarts'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "import" -d 'Take over the bans of fail2ban, and how often it banned whom'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "monitor" -d 'Follow what happens'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "verify" -d 'Check the configuration as the service would read it, without running it'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "config" -d 'Look at the configuration, without the daemon'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "filter" -d 'Try filters, without the daemon'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "test" -d 'Try a log message on a jail\'s filter'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and not __fish_seen_subcommand_from status jails bans why ban unban reload start stop import monitor verify config filter test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "dump" -d 'Show what every option amounts to, and the file and line that set it'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and __fish_seen_subcommand_from filter" -f -a "test" -d 'Try a filter on log lines'
complete -c banishctl -n "__fish_banishctl_using_subcommand help; and __fish_seen_subcommand_from filter" -f -a "conformance" -d 'Put filters to annotated log lines'
complete -c banishctl -n "__fish_seen_subcommand_from status bans ban unban start stop test" -f -a "(banishctl jails 2>/dev/null)"
