//! Tests of `code`.

use super::*;

fn shown(paths: Vec<PathUse>) -> Vec<String> {
    paths.iter().map(|p| format!("{}{}", p.names.join("."), if p.guarded { "?" } else { "" })).collect()
}

#[test]
fn paths_are_found_and_words_that_are_none_are_not() {
    let code = "a.b in ['x', y] and not c | default(value=d) or e is not defined and f is string ~ g(h=1)";
    assert_eq!(shown(paths_in_expression(code)), ["a.b", "y", "c?", "d", "e?", "f"]);
}

#[test]
fn a_name_of_a_loop_stands_for_the_elements() {
    let text = "{% for d in facts.disks %}{{ d.mount }}{{ loop.index }}{% endfor %}{{ d.x }}{% set o = facts.os %}{{ o.id }}{% for k, v in t %}{{ k }}{{ v.a }}{% endfor %}{{ a['b'].c }}{{ a[0].b }}{{ a[i].b }}";
    assert_eq!(
        shown(paths_in_text(text)),
        ["facts.disks", "facts.disks.[].mount", "d.x", "facts.os", "facts.os.id", "t", "a.b.c", "a.[].b", "a", "i"]
    );
}

#[test]
fn what_stands_in_a_branch_is_not_certain() {
    let text =
        "{{ a }}{% if b %}{{ c }}{% elif d %}{% endif %}{{ e }}{{ f if g else h }}{% for i in j %}{{ k }}{% endfor %}";
    let certain = paths_in_text(text).into_iter().filter(|path| path.certain).map(|path| path.written);
    assert_eq!(certain.collect::<Vec<_>>(), ["a", "e", "j"]);
}

#[test]
fn only_what_stands_in_code_counts() {
    assert_eq!(shown(paths_in_text("{% raw %}{{ a }}{%- endraw -%}{{ b }}{# {{ c }} #}{{ d }}")), ["b", "d"]);
    assert_eq!(shown(paths_in_text("é a {{ b | upper }} c {% if d.e == '}}' %} {{ x?.y }}")), ["b", "d.e", "x?"]);
    assert_eq!(shown(paths_in_text("{{ unfinished")), ["unfinished"]);
}
