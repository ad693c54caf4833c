def test_a_call_is_answered_and_metered(write_function, start_server):
    folder = write_function(
        "double",
        """
        from servelite import function

        @function
        def double(number: int) -> int:
            return 2 * number
    """,
    )
    server = start_server(folder)
    reply = server.call("double", 21)
    assert (reply.status, reply.json()) == (200, 42)
    assert reply.receipt["billed-us"] == reply.receipt["compute-us"]
    assert server.stop() == 0
