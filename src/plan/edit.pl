# Edits the lines of a file that was not there, or not known, at plan time.
# Arguments: the edit (fields, each ended by a NUL), the file, where to write
# the new one. Writes nothing if nothing is to change. The rules are those of
# the kinds 'line' and 'setting'; tests/edit.rs proves that they agree.
use strict;
use warnings;
my ($edit, $path, $new) = @ARGV;

sub slurp {
    my ($name) = @_;
    local $/;
    open(my $in, '<', $name) or die "$name: $!\n";
    my $text = <$in>;
    $text = '' unless defined $text;
    utf8::decode($text) or die "$name cannot be edited: its content is not UTF-8 text\n";
    return $text;
}

my ($kind, $create, @fields) = split /\0/, slurp($edit), -1;
die "$path cannot be edited: it is a link\n" if -l $path;
my $there = -e $path;
die "$path cannot be edited: it is no regular file\n" if $there && !-f $path;
if (!$there && !$create) {
    exit 0 if $kind eq 'drop' || $kind eq 'unset';
    die "there is no $path: no package of this run has brought it\n";
}
my $text = $there ? slurp($path) : '';
my $ended = $text eq '' || $text =~ /\n\z/;
my @lines = split /\n/, $text, -1;
pop @lines if $ended && @lines;

# The places of the lines that an expression matches; none for no expression.
sub places {
    my ($expression) = @_;
    return () if $expression eq '';
    return grep { $lines[$_] =~ /$expression/ } 0 .. $#lines;
}

my @result = @lines;
if ($kind eq 'put') {
    my ($line, $match, $after) = @fields;
    my @found = places($match);
    if (@found) {
        $result[$found[-1]] = $line;
    } elsif (!grep { $_ eq $line } @lines) {
        my @above = places($after);
        splice @result, (@above ? $above[-1] + 1 : scalar @result), 0, $line;
    }
} elsif ($kind eq 'drop') {
    my ($line, $match) = @fields;
    my %out = map { $_ => 1 } places($match);
    @result = map { $lines[$_] } grep { !$out{$_} && ($line eq '' || $lines[$_] ne $line) } 0 .. $#lines;
} else {
    my ($key, $separator, $comment, $value, $whole) = @fields;
    my $between = $separator eq '' ? '\s+' : '\s*' . quotemeta($separator) . '\s*';
    my $set = '\s*' . quotemeta($key) . $between;
    my @active = places("^$set");
    my %out = map { $_ => 1 } @active;
    if ($kind eq 'set' && @active) {
        my $last = pop @active;
        delete $out{$last};
        my ($before, $found) = $lines[$last] =~ /^($set)(.*?)\s*\z/;
        $result[$last] = $before . $value if $found ne $value;
    } elsif ($kind eq 'set') {
        my $rest = $separator eq '' ? '\S+\s*\z' : '';
        my @default = places('^\s*(?:' . quotemeta($comment) . ')+' . $set . $rest);
        if (@default) { $result[$default[-1]] = $whole } else { push @result, $whole }
    }
    @result = map { $result[$_] } grep { !$out{$_} } 0 .. $#result;
}

$ended = 1 if !@result || !@lines || $result[-1] ne $lines[-1];
my $after = join("\n", @result) . ($ended && @result ? "\n" : '');
exit 0 if $there && $after eq $text;
umask 077;
open(my $out, '>', $new) or die "$new: $!\n";
utf8::encode($after);
print $out $after or die "$new: $!\n";
close $out or die "$new: $!\n";
my (undef, undef, $mode, undef, $owner, $group) = $there ? stat($path) : (0, 0, 0644, 0, 0, 0);
chown $owner, $group, $new or die "$new: $!\n" if $> == 0;
chmod $mode & 07777, $new or die "$new: $!\n";
