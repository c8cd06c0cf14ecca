//! Units, policies, man pages and the interface agree.
