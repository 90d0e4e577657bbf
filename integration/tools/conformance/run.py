# Runs every check for both families; prints `pass FAMILY NAME` or `fail FAMILY NAME: REASON` for each.

task = json.loads(sys.argv[1])
stations = {name: Station(**place) for name, place in task["stations"].items()}
views = [View(stations, family) for family in ("v4", "v6")]
for function in checks:
    Host.patience = SOON if function.__name__ in task["exceptions"] else AT_LAST
    for view in views:
        view.forget()
        try:
            function(view)
        except Failed as reason:
            print(f"fail {view.family} {function.__name__}: {reason}", flush=True)
        except Exception as error:
            # A packet that is not at all what was expected, or a kernel that refuses to send.
            print(f"fail {view.family} {function.__name__}: {error!r}", flush=True)
        else:
            print(f"pass {view.family} {function.__name__}", flush=True)
