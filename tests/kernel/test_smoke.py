def test_first(firm, other_firm):
    from plumbline.kernel.identity import service
    from plumbline.kernel.paging import PageRequest
    page = service.list_users(firm.installation, firm.admin, PageRequest())
    assert {u.username for u in page.items} == {"northwind-admin", "northwind-analyst", "northwind-viewer"}
    client = service.access.Client(ip="1.2.3.4")
    s = service.sign_in(firm.installation, "northwind-admin", firm.password, client)
    ctx, user = service.authenticate_session(firm.installation, s.token, client)
    assert user.username == "northwind-admin"
    kid, text = service.create_key(firm.installation, ctx, name="x", scopes=["users.read"])
    assert service.authenticate_key(firm.installation, text, client)[0].rights == {"users.read"}
