"""A mail server that encrypts and asks for a password: prints its port, then each mail as a line of JSON."""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

security, certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"certroll", b"hunter2")
    return AuthResult(success=right, handled=False, auth_data=data.login.decode() if right else None)


class Taker:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(
            json.dumps(
                {
                    "tls": session.ssl is not None or security == "tls",
                    "user": session.auth_data,
                    "recipients": envelope.rcpt_tos,
                    "headers": {name: str(value) for name, value in mail.items()},
                    "types": [part.get_content_type() for part in mail.walk()],
                    "text": mail.get_body(("plain",)).get_content(),
                }
            ),
            flush=True,
        )
        return "250 taken"


def protocol():
    return SMTP(
        Taker(),
        hostname="localhost",
        enable_SMTPUTF8=True,
        tls_context=context if security == "starttls" else None,
        require_starttls=security == "starttls",
        auth_required=True,
        auth_require_tls=security == "starttls",
        authenticator=authenticate,
        loop=asyncio.get_running_loop(),
    )


async def main():
    loop = asyncio.get_running_loop()
    tls = context if security == "tls" else None
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
