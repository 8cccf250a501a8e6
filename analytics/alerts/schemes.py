"""Where alerts may go unless GATEHOUSE_ALERT_SCHEMES says otherwise: services, and hosts that the egress guard then judges.

Left out are senders that act on this machine, read its files or need programs of it.
"""

from __future__ import annotations

DEFAULT = (
    *("http", "https", "json", "jsons", "xml", "xmls", "form", "forms"),
    *("mailto", "mailtos", "mailgun", "postmark", "resend", "sendgrid", "brevo", "ses", "smtp2go", "sparkpost"),
    *("slack", "discord", "workflow", "workflows", "gchat", "mmost", "mmosts", "rocket", "rockets", "webex", "wxteams"),
    *("zulip", "matrix", "matrixs", "tgram", "line", "twist", "zoom", "nctalk", "nctalks"),
    *(
        "dingtalk",
        "feishu",
        "lark",
        "wecom",
        "wecombot",
        "wechat",
        "schan",
        "pushplus",
        "wxpusher",
        "pushdeer",
        "bark",
        "barks",
    ),
    *("pagerduty", "opsgenie", "victorops", "splunk", "squadcast", "signl4", "incidentio", "betterstack", "ilert"),
    *("firehydrant", "goalert", "goalerts", "pagertree", "spike", "jira", "flock"),
    *("twilio", "vonage", "nexmo", "plivo", "sinch", "sns", "msgbird", "clicksend", "clickatell", "bulksms"),
    *("infobip", "46elks", "seven", "smsc", "voipms", "kavenegar", "msg91", "whatsapp", "threema"),
    *("ntfy", "ntfys", "gotify", "gotifys", "pover", "push", "pushy", "prowl", "join", "simplepush"),
)
