//! WATCHES: the host's own addresses, gateways, resolvers and login sessions.
