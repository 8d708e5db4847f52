//! Tests of `text`.

use super::Text;

#[test]
fn a_text_that_is_not_edited_comes_back_byte_for_byte() {
    for content in [
        "",
        "\n",
        "a",
        "a\n",
        "a\r\n",
        "a\r\nb",
        "a\nb\r\n\r\nc\r",
        "\r",
        "\r\n\n",
        "a\rb\n",
        "\u{feff}",
        "\u{feff}a\nb",
    ] {
        assert_eq!(Text::parse(content).render(), content, "{content:?}");
    }
}

#[test]
fn the_mark_of_utf_8_is_no_part_of_the_first_line() {
    let mut text = Text::parse("\u{feff}[a]\n");
    assert_eq!((text.line(0), text.whole().as_str()), ("[a]", "[a]\n"));
    text.insert(0, "b");
    assert_eq!(text.edit_whole(|whole| whole.replace("a", "c")).render(), "\u{feff}b\n[c]\n");
}

#[test]
fn a_new_line_ends_as_the_others_do() {
    for (content, expected) in
        [("a\r\nb\r\n", "a\r\nb\r\nx\r\n"), ("a\r\nb", "a\r\nb\r\nx\r\n"), ("a\nb", "a\nb\nx\n"), ("", "x\n")]
    {
        let mut text = Text::parse(content);
        text.insert(usize::MAX, "x");
        assert_eq!(text.render(), expected, "{content:?}");
    }
}

#[test]
fn a_last_line_without_its_end_keeps_it_so_when_it_is_replaced() {
    let mut text = Text::parse("a\r\nb");
    text.set(1, "c");
    assert_eq!(text.render(), "a\r\nc");
    text.retain(|at, _| at == 0);
    assert_eq!(text.render(), "a\r\n");
}

#[test]
fn an_edit_of_the_whole_meets_lf_where_all_lines_end_in_crlf() {
    let edit = |text: &str| text.replace("a\nb", "x\ny");
    assert_eq!(Text::parse("a\r\nb\r\n").edit_whole(edit).render(), "x\r\ny\r\n");
    assert_eq!(Text::parse("a\nb\r\n").edit_whole(edit).render(), "x\ny\r\n");
}
