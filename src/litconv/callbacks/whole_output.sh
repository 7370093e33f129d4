# sh whole_output.sh COMPILER ARGUMENT…: the compiler, whose output (-o PATH) is there whole or not at all.
#
# It is made beside its place and then put there, and never replaces what lies there: a process killed on one machine would
# otherwise leave half a library, which every later run on any machine loads, and a new one in its place would fail under
# those that have mapped the old one.
for argument; do
    shift
    if [ "$previous" = -o ]; then
        output=$argument
        made=$(mktemp "$output.XXXXXX") || exit
        argument=$made
    fi
    previous=$argument
    set -- "$@" "$argument"
done
[ -n "$output" ] || exec "$@"
"$@" && sync "$made" && { ln "$made" "$output" 2>/dev/null || [ -e "$output" ] || mv "$made" "$output"; }
status=$?
rm -f "$made"
exit $status
