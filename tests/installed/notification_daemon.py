"""A notification daemon on the session bus: prints each notification as a line of JSON."""

# D-Bus names its types by annotations, so these must not become texts.
import asyncio
import json

from dbus_next.aio import MessageBus
from dbus_next.service import ServiceInterface, method


class Notifications(ServiceInterface):
    def __init__(self):
        super().__init__("org.freedesktop.Notifications")
        self.last = 0

    @method()
    def Notify(
        self,
        app: "s",
        replaces: "u",
        icon: "s",
        summary: "s",
        body: "s",
        actions: "as",
        hints: "a{sv}",
        timeout: "i",
    ) -> "u":
        urgency = hints["urgency"].value if "urgency" in hints else None
        shown = {"app": app, "icon": icon, "summary": summary, "body": body, "urgency": urgency}
        print(json.dumps(shown), flush=True)
        self.last += 1
        return self.last

    @method()
    def GetCapabilities(self) -> "as":
        return ["body"]

    @method()
    def GetServerInformation(self) -> "ssss":
        return ["test", "certroll", "1", "1.2"]


async def main():
    bus = await MessageBus().connect()
    bus.export("/org/freedesktop/Notifications", Notifications())
    await bus.request_name("org.freedesktop.Notifications")
    print("ready", flush=True)
    await bus.wait_for_disconnect()


asyncio.run(main())
