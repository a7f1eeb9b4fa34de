"""Web pages of the service: rendered on the server, updated by htmx, without requests to other hosts.

Made by ``api.app``; must not be imported by anything else of ``api``. A page has no rules of its own: it calls the functions of the
JSON routes (``api.routes``) with the caller of its session, and shows their refusals as they word them.

How a page is made (copy ``home.py`` and ``templates/home.html``):

- One module a page with ``router = APIRouter(include_in_schema=False, route_class=PageRoute)``, added in ``api.app``. Its functions
  take ``caller: PageReader`` (or ``PageWriter``, ``PageAdmin``) and return ``render(request, "name.html", **values)``, or after a
  change ``redirect(request, "/path")`` (``forms``). Every exception of the catalog becomes an error page with the status of the
  JSON route.
- Templates extend ``base.html`` (blocks ``title``, ``main``, ``scripts``) and import from ``macros.html``: ``badge``, ``progress``,
  ``moment``, ``metric``, ``empty``, ``command``, ``hidden_token``, ``action`` (a button that asks first, with and without
  JavaScript). ``page`` is in every template: ``page.root`` (before every path), ``page.may_write``, ``page.is_admin``,
  ``page.now``. A page that all others lead to is named in ``rendering.NAVIGATION``.
- A form that changes something has ``{{ hidden_token(page) }}`` in it; a script sends the header ``X-Form-Token`` instead.
- What moves is a fragment of its own (``_name.html``): the page includes it, htmx asks the same address for it (``HX-Request``),
  and ``hx-swap="outerMorph"`` leaves focus and open menus alone. One ``role="status"`` line says what changed; numbers that run are
  in no live region.
- No ``style`` attribute, no ``<style>``, no inline script, no ``hx-on``: the policy forbids them. Widths come from ``<progress>``,
  colours from classes in ``static/style.css``, whose variables are in ``pruning/report/static/common.css`` (``report.html`` has
  the same); own scripts are in ``static/``, addressed by ``asset("name")``.
"""
