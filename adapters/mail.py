"""A mail to somebody of the house, over TLS; no other file imports a mail library.

Sources: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 8314 (implicit TLS), RFC 5322 (the message).
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

SECONDS = 20.0


class MailNotSent(Exception):
    """The server did not take the mail; it can be tried again. `reason` holds nothing of the mail."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"mail: {reason}")


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails go. `security`: `starttls`, `tls` or `none`."""

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


def send(server: MailServer, *, to: str, subject: str, text: str, at: datetime, message_id: str) -> None:
    """Hand one mail over; raises MailNotSent. The same `message_id` again is the same mail."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = server.sender, to, subject
    message["Date"], message["Message-ID"] = format_datetime(at), f"<{message_id}@{server.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    try:
        with _connected(server) as connection:
            if server.user:
                connection.login(server.user, server.password)
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        code = getattr(error, "smtp_code", "")
        raise MailNotSent(f"{type(error).__name__} {code}".strip()) from error


def _connected(server: MailServer) -> smtplib.SMTP:
    trust = ssl.create_default_context()
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=trust)
    connection = smtplib.SMTP(server.host, server.port, timeout=SECONDS)
    if server.security == "starttls":
        try:
            connection.starttls(context=trust)
        except BaseException:
            connection.close()
            raise
    return connection
