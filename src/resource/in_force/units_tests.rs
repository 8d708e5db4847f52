//! Tests of `units`.

use super::*;

#[test]
fn a_unit_has_drop_ins_under_each_of_its_names() {
    assert_eq!(names("a-b-c.service"), ["a-b-c.service", "a-b-.service", "a-.service", "service"]);
    assert_eq!(names("getty@tty1.service"), ["getty@tty1.service", "getty@.service", "service"]);
    assert_eq!(names("x.timer"), ["x.timer", "timer"]);
    assert_eq!(names("service"), ["service"]);
}

#[test]
fn values_add_up_only_where_systemd_adds_them() {
    for (key, list) in [
        ("ExecStart", true),
        ("Environment", true),
        ("ConditionPathExists", true),
        ("OnCalendar", true),
        ("LimitNOFILE", false),
        ("Restart", false),
        ("RestartSec", false),
        ("RestartPreventExitStatus", true),
        ("User", false),
        ("IOWeight", false),
        ("SuccessExitStatus", true),
        ("DNS", true),
    ] {
        assert_eq!(is_list(key), list, "{key}");
    }
    let value = "A=1 \"B=two words\" C='3'";
    assert_eq!(variables(value).len(), 3);
}
